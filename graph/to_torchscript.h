// A GraphModule as a TorchScript module: for LibTorch and Python programs without fxq. Modules and
// tensors keep their paths; parameters stay parameters. The result shares the tensors with the
// graph and computes the same as GraphModule::forward in the mode (train or eval) that it has now.
#pragma once

#include "absl/status/statusor.h"
#include "fxq/graph/graph_module.h"

namespace torch::jit {
struct Module;
}  // namespace torch::jit

namespace fxq {

// Unimplemented lists every node that TorchScript has no form for: integer nodes (they run as .fxq
// or ONNX), fake quantizers, methods of objects.
absl::StatusOr<torch::jit::Module> to_torchscript(const GraphModule& gm);

}  // namespace fxq
