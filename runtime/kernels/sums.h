// Sums of channel vectors: the inner loop of every average. Integers are summed exactly; the result
// is y = sat(rint((float)sum * m)), m = (float)((scale_in / scale_out) / divisor).
#pragma once

#include <cstdint>

#include "fxq/runtime/kernels/checks.h"

namespace fxq::kernels {

// The vectors at x + row * row_step + column * column_step, in elements.
struct SumTaps {
  int64_t rows = 0;
  int64_t columns = 0;
  int64_t row_step = 0;
  int64_t column_step = 0;
  int64_t count() const { return rows * columns; }
};

struct AverageRule {
  double ratio = 1;  // scale_in / scale_out
  OutputRange range;
  int shift_in = 0;
  int shift_out = 0;
};

// More taps could overflow the 32-bit sums of 8-bit values.
inline constexpr int64_t kMostSummed = int64_t{1} << 23;

// y[c] for c in [0, channels). X and Y are uint8_t or int16_t.
template <typename X, typename Y>
void average(const X* x, const SumTaps& taps, int64_t channels, double divisor,
             const AverageRule& rule, Y* y);

// Attributes scale_in, scale_out, dtype, activation, clip_hi.
AverageRule average_rule(AttrReader& reader, DType from, DType to);

// The attributes' and the input's checks; the output's dtype.
DType check_average(AttrReader& reader, const Desc& input);

}  // namespace fxq::kernels
