// Loops over the weights of one channel: what folding, observing and quantizing do to every weight
// of a model, without temporaries. Results don't depend on how rows are split among threads.
#pragma once

#include <cstdint>

#include "absl/types/span.h"

namespace fxq {

// x + kRintShift - kRintShift rounds |x| < 2^22 half to even without a library call: 1.5 * 2^23.
inline constexpr float kRintShift = 12582912.0F;

// y[i] = (float)((double)x[i] * scale)
void scale_row(absl::Span<const float> x, double scale, absl::Span<float> y);

struct RowRange {
  float min, max;
  bool is_finite;  // no NaN, no infinity
};
// Of at least one value; min and max are undefined unless is_finite.
RowRange range_of_row(absl::Span<const float> x);

// q[i] = clamp(rint(x[i] * inverse), low, high), halves to even; |low|, |high| < 2^22.
struct RoundTo {
  float inverse, low, high;
};
void round_row(absl::Span<const float> x, const RoundTo& to, absl::Span<int8_t> q);
void round_row(absl::Span<const float> x, const RoundTo& to, absl::Span<int16_t> q);
// round_row of what scale_row makes of x.
void round_scaled_row(absl::Span<const float> x, double scale, const RoundTo& to,
                      absl::Span<int8_t> q);
void round_scaled_row(absl::Span<const float> x, double scale, const RoundTo& to,
                      absl::Span<int16_t> q);

}  // namespace fxq
