// Bias correction (arXiv 1906.04721): rounding weights moves the mean of a channel's sums; its bias
// takes the move back. Measured on data: each op on the inputs that it has in the fake-quantized
// graph, with its float and with its quantized weights. Off by default; `fxq quantize
// --bias-correction`.
#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "fxq/quant/observed_graph.h"

namespace fxq {

// Of a calibrated model, which gets new bias tensors (the float model's are not written); its state
// is VALIDATION afterwards. Returns how many ops were corrected: those that run in integers.
// Errors: FailedPrecondition for a model in train() mode or without calibration, those of
// forward().
absl::StatusOr<int> correct_biases(ObservedGraphModule& model,
                                   const std::vector<std::vector<c10::IValue>>& batches);

}  // namespace fxq
