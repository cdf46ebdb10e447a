// A net of TorchScript source, as a program and as LibTorch runs it.
#pragma once

#include <ATen/ATen.h>
#include <torch/csrc/jit/api/module.h>

#include <memory>
#include <string>
#include <vector>

#include "fxq/base/host_tensor.h"
#include "fxq/runtime/executor.h"

namespace fxq::lower_test {

// `forward`: "def forward(self, x): ..."
absl::StatusOr<Program> program_of(const std::string& forward,
                                   const std::vector<c10::IValue>& example);

struct ScriptNet {
  torch::jit::Module module{"Net"};
  std::unique_ptr<Executor> executor;  // may run TorchScript; keeps a profile

  ScriptNet(const std::string& forward, const std::vector<c10::IValue>& example);

  absl::StatusOr<std::vector<HostTensor>> run(const std::vector<at::Tensor>& inputs) const;
  // The program and LibTorch give the same bytes.
  void expect_equal(const std::vector<at::Tensor>& inputs) const;
};

}  // namespace fxq::lower_test
