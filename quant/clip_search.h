// The clipping range that loses least when a tensor is quantized: max |x| is shrunk by candidate
// factors, and the one with the least squared error wins. Sums run in a fixed order, so the answer
// does not depend on the number of threads.
#pragma once

#include "absl/types/span.h"
#include "fxq/quant/qdtype.h"

namespace fxq {

// sum over x of (x - fake_quantize(x))^2 with the given scale; values must be finite.
double squared_error(absl::Span<const float> values, float scale, QRange range);

// The best of max_abs * {0.05, 0.10, ..., 1} and then of 0.01 steps around it; 1 wins ties.
float best_clip(absl::Span<const float> values, float max_abs, QRange range);

struct Moments {
  double mean, deviation;  // of the population
};
Moments moments_of(absl::Span<const float> values);

}  // namespace fxq
