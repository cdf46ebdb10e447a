// The clipping range that loses least over all batches: the squared error of clipping at each step
// of one fixed logarithmic scale is added up batch by batch. Sums run in a fixed order, so the
// answer does not depend on the number of threads.
#pragma once

#include "absl/types/span.h"
#include "fxq/quant/qdtype.h"

namespace fxq {

// sum over x of (x - fake_quantize(x))^2 with the given scale; values must be finite.
double squared_error(absl::Span<const float> values, float scale, QRange range);

// The steps: 2^(i / 8 - 24) for i in 0..kClipSteps-1.
inline constexpr int kClipSteps = 384;
double clip_at(double step);

// Adds the squared error of these values, of which max_abs is the greatest magnitude, at each step:
// measured from max_abs down to max_abs / 11, and by octaves more until no lower step can lose
// less. Above, rounding grows with the square of the clip, up to sum x^2, where all become zero;
// below, the error goes in a line to sum x^2 at clip 0: what clipping loses is convex, so no less.
void add_clip_errors(absl::Span<const float> values, float max_abs, QRange range,
                     absl::Span<double> errors);
// The clip of least error, between steps by a parabola, at most max_abs; of equal ones the highest.
float least_clip(absl::Span<const double> errors, float max_abs);

struct Moments {
  double mean, deviation;  // of the population
};
Moments moments_of(absl::Span<const float> values);

}  // namespace fxq
