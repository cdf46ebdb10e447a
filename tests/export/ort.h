// ONNX Runtime for tests: build/venv's Python runs a model on tensors. Files live in a directory of
// the test, which is removed with it.
#pragma once

#include <ATen/core/ivalue.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "fxq/export/onnx_export.h"

namespace onnx {
class ModelProto;
}

namespace fxq::export_test {

using Tensors = std::map<std::string, at::Tensor>;

// False where ./dev setup has not made the environment with ONNX Runtime.
bool has_onnx_runtime();

// Off: every operator as the file has it, Q and DQ in float. On, ONNX Runtime's default: QDQ
// becomes its integer kernels.
enum class Optimizations { kOff, kOn };

// Values by name, as ONNX Runtime computes them.
absl::StatusOr<Tensors> run_onnx_runtime(const onnx::ModelProto& model, const Tensors& inputs,
                                         const std::vector<std::string>& outputs,
                                         Optimizations optimizations = Optimizations::kOff);

absl::StatusOr<Tensors> run_onnx_file(const std::string& path, const Tensors& inputs,
                                      const std::vector<std::string>& outputs,
                                      Optimizations optimizations = Optimizations::kOff);

// A directory of this test alone.
std::string scratch_directory();

}  // namespace fxq::export_test
