// Artifact: named tensors and text, the content of one file of ours (a saved graph, a program)
// before it is written and after it was read. Each layer adds its own metadata keys and tensors to
// the same artifact. Plain data; copying shares tensor bytes. Files: base/safetensors.h.
#pragma once

#include <map>
#include <string>

#include "fxq/base/host_tensor.h"

namespace fxq {

struct Artifact {
  std::map<std::string, std::string> metadata;
  std::map<std::string, HostTensor> tensors;
};

}  // namespace fxq
