// Module::save and torch::jit::load through memory.
#include "fxq/runtime/lower/script_bytes.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/from_blob.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/serialization/import.h>

#include <sstream>

namespace fxq {

absl::StatusOr<at::Tensor> script_to_bytes(const torch::jit::Module& module) {
  try {
    std::ostringstream stream;
    module.save(stream);
    std::string bytes = stream.str();
    const auto size = static_cast<int64_t>(bytes.size());
    return at::from_blob(bytes.data(), {size}, at::kByte).clone();
  } catch (const std::exception& error) {
    return absl::InternalError(std::string("TorchScript cannot be saved: ") + error.what());
  }
}

absl::StatusOr<torch::jit::Module> script_from_bytes(const HostTensor& bytes) {
  try {
    std::istringstream stream(
        std::string(reinterpret_cast<const char*>(bytes.bytes()), bytes.byte_size()));
    return torch::jit::load(stream);
  } catch (const std::exception& error) {
    return absl::DataLossError(std::string("the embedded TorchScript is damaged: ") + error.what());
  }
}

}  // namespace fxq
