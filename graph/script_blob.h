// The TorchScript parts of a graph as one .pt in memory: what opaque modules need to travel in an
// artifact. Reading it back runs LibTorch's unpickler and compiler, so callers ask for consent
// first.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "fxq/base/host_tensor.h"
#include "fxq/graph/text.h"

namespace fxq {

using ScriptParts = std::map<std::string, std::shared_ptr<LeafModule>>;  // opaque modules by path

// u8[bytes]
absl::StatusOr<HostTensor> to_script_blob(const ScriptParts& parts);
// Makes the opaque modules of a text from the blob. InvalidArgument if LibTorch cannot read it.
absl::StatusOr<ModuleFactory> script_factory(const HostTensor& blob);

}  // namespace fxq
