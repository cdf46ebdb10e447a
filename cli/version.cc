// The versions and the instruction set that a bug report needs.
#include <dnnl.h>
#include <fmt/format.h>
#include <onnx/common/version.h>
#include <torch/version.h>

#include "fxq/cli/command.h"
#include "fxq/runtime/isa.h"

namespace fxq {

std::string version_text() {
  const dnnl_version_t* onednn = dnnl_version();
  return fmt::format("fxq {}\nLibTorch {}\noneDNN {}.{}.{} ({})\nONNX {}", FXQ_VERSION,
                     TORCH_VERSION, onednn->major, onednn->minor, onednn->patch,
                     isa_name(effective_isa()), ONNX_NAMESPACE::LAST_RELEASE_VERSION);
}

}  // namespace fxq
