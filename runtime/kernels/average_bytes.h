// Window averages of bytes in 16-bit sums: what lies in one column of a row of windows is summed
// once, then windows add up column sums. The integers are those of average() in sums.h:
//   s = sum of the stored bytes of `taps` places, at most 65535
//   y = rint(clamp((float)(s - shift_in * taps) * m)) + shift_out
// Where making a rule has proved it for every s, the same y comes from 16-bit integers:
//   y = clamp((mulhi(s, multiplier) + bias) >> shift),  mulhi(a, b) = a * b >> 16
#pragma once

#include <cstdint>
#include <vector>

#include "fxq/runtime/kernels/sums.h"

namespace fxq::kernels {

inline constexpr int64_t kMostByteTaps = 257;  // 257 * 255 = 65535

// The finish of windows with `taps` places inside the input.
struct ByteAverage {
  int64_t taps = 0;
  double divisor = 1;
  float m = 1;
  int32_t shift_in = 0;  // of the whole sum
  int shift_out = 0;
  OutputRange range;
  bool in_integers = false;  // the fields below give the same
  uint16_t multiplier = 0;
  uint16_t bias = 0;
  uint16_t low = 0;
  uint16_t high = 0;
  int shift = 0;
};

// taps: 1 to kMostByteTaps.
ByteAverage make_byte_average(int64_t taps, double divisor, const AverageRule& rule);

// sums[i] = x[i] + x[i + row_step] + ... over `rows`.
void sum_rows(const uint8_t* x, int64_t rows, int64_t row_step, int64_t count, uint16_t* sums);

// y[i] = finish(sums[i] + sums[i + step] + ... over `columns`).
void average_columns(const uint16_t* sums, int64_t columns, int64_t step, int64_t count,
                     const ByteAverage& average, uint8_t* y);

}  // namespace fxq::kernels
