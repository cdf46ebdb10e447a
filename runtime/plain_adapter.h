// bind_plainly: binds a step of a KernelProvider, which knows plain row-major tensors only. Inputs
// and outputs that lie differently in storage (8/16-bit integers, as in a model that takes u8
// pictures) are converted in scratch before and after it.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "fxq/runtime/kernel.h"

namespace fxq {

absl::StatusOr<std::unique_ptr<BoundStep>> bind_plainly(const KernelProvider& provider,
                                                        const Step& step, Descs inputs,
                                                        Descs outputs, BindContext& context);

}  // namespace fxq
