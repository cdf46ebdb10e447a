// Control flow in tests: a module as TorchScript text and inputs that take every way through it.
#pragma once

#include <onnx/onnx_pb.h>
#include <torch/csrc/jit/api/module.h>

#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "fxq/export/onnx_export.h"

namespace fxq::export_test {

struct FlowCase {
  const char* name;
  const char* source;
  // Added to seeded normal values of the shape: one run each; the first is the example.
  std::vector<double> means;
  std::map<std::string, int> operators;  // of the file
  std::vector<int64_t> shape = {2, 3, 5, 5};
};

void PrintTo(const FlowCase& one, std::ostream* out);

at::Tensor input_of(const FlowCase& one, double mean);

// In eval mode; empty, and the test fails, if it can't be traced.
GraphModule traced(const torch::jit::Module& module);

// Nothing falls through.
ExportOptions only_onnx(int opset = 16);

// As ONNX Runtime computes it, dtypes too.
void expect_same_as_module(const onnx::ModelProto& proto, torch::jit::Module module,
                           const at::Tensor& x);

// The file made from the first mean agrees with the module for each, at the shape and at `others`.
void expect_every_way_agrees(const FlowCase& one, const ExportOptions& options = only_onnx(),
                             const std::vector<std::vector<int64_t>>& others = {});

absl::Status export_status(const char* source, const ExportOptions& options,
                           ExportSummary* summary = nullptr);

}  // namespace fxq::export_test
