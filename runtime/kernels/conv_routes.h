// The three ways to run a ConvProblem; all give the integers of conv_epilogue.h.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "fxq/runtime/kernel.h"
#include "fxq/runtime/kernels/conv_problem.h"

namespace fxq::conv {

// Our own kernel for depthwise layers of 8 bits without a residual, on AVX512-VNNI; else
// Unimplemented.
absl::StatusOr<std::unique_ptr<BoundStep>> bind_depthwise(const ConvProblem& problem,
                                                          BindContext& context);

// oneDNN for 8-bit sources and weights: fused where that is exact, else 32-bit sums of as many
// weight parts as exactness needs, with an epilogue of our own. Unimplemented where oneDNN has no
// fast kernel or no 32-bit sum could be exact.
absl::StatusOr<std::unique_ptr<BoundStep>> bind_onednn(const ConvProblem& problem,
                                                       BindContext& context);

// Plain loops with 64-bit sums: anything, slowly. Needs 16-bit sources or weights in the first
// place.
absl::StatusOr<std::unique_ptr<BoundStep>> bind_plain(const ConvProblem& problem,
                                                      BindContext& context);

// A linear layer whose tensors have rank 3 to 5: transposes x (and other) into rows, runs `inner`,
// bound to rows, and transposes the result into storage. Grows context's shared scratch.
std::unique_ptr<BoundStep> with_transposed_rows(const ConvProblem& problem,
                                                std::unique_ptr<BoundStep> inner,
                                                BindContext& context);

}  // namespace fxq::conv
