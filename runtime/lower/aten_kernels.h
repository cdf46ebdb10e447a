// aten_kernels: the KernelProvider that runs steps "aten" through LibTorch's own operators:
// whatever has no integer kernel, in float. It keeps nothing but parsed TorchScript parts.
#pragma once

#include <memory>

#include "fxq/runtime/kernel.h"

namespace fxq {

struct AtenOptions {
  // Opaque parts of a model travel as TorchScript, which is code: running it must be allowed.
  bool allow_torchscript = false;
};

std::shared_ptr<const KernelProvider> aten_kernels(const AtenOptions& options = {});

}  // namespace fxq
