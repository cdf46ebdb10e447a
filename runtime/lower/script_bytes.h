// A TorchScript module as the bytes of its .pt file in a u8 tensor, and back.
#pragma once

#include "absl/status/statusor.h"
#include "fxq/base/host_tensor.h"

namespace at {
class Tensor;
}
namespace torch::jit {
struct Module;
}

namespace fxq {

absl::StatusOr<at::Tensor> script_to_bytes(const torch::jit::Module& module);
absl::StatusOr<torch::jit::Module> script_from_bytes(const HostTensor& bytes);

}  // namespace fxq
