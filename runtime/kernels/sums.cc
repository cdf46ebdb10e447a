// Channels are taken in blocks whose sums stay in registers.
#include "fxq/runtime/kernels/sums.h"

#include <algorithm>

#include "fxq/base/vectorize.h"

namespace fxq::kernels {
namespace {

constexpr int64_t kBlock = 64;

template <typename X, typename Sum>
FXQ_INLINE void sum_run(const X* x, SumTaps taps, int64_t count, Sum* sums) {
  for (int64_t i = 0; i < count; ++i) sums[i] = 0;
  for (int64_t r = 0; r < taps.rows; ++r) {
    for (int64_t c = 0; c < taps.columns; ++c) {
      const X* from = x + r * taps.row_step + c * taps.column_step;
      for (int64_t i = 0; i < count; ++i) sums[i] += from[i];
    }
  }
}

// A constant count lets the compiler keep the sums in registers.
template <typename X, typename Sum>
FXQ_INLINE void sum_block(const X* x, SumTaps taps, int64_t count, Sum* sums) {
  if (count != kBlock) return sum_run(x, taps, count, sums);
  Sum local[kBlock];
  sum_run(x, taps, kBlock, local);
  for (int64_t i = 0; i < kBlock; ++i) sums[i] = local[i];
}

FXQ_VECTORIZE void sum_bytes(const uint8_t* x, SumTaps taps, int64_t count, int32_t* sums) {
  sum_block(x, taps, count, sums);
}
FXQ_VECTORIZE void sum_words(const int16_t* x, SumTaps taps, int64_t count, int64_t* sums) {
  sum_block(x, taps, count, sums);
}
void sum(const uint8_t* x, const SumTaps& taps, int64_t count, int32_t* sums) {
  sum_bytes(x, taps, count, sums);
}
void sum(const int16_t* x, const SumTaps& taps, int64_t count, int64_t* sums) {
  sum_words(x, taps, count, sums);
}

template <typename Sum, typename Y>
FXQ_INLINE void finish_run(const Sum* sums, Sum shift, float m, OutputRange range, int shift_out,
                           int64_t count, Y* y) {
  for (int64_t i = 0; i < count; ++i) {
    const float p = static_cast<float>(sums[i] - shift) * m;
    y[i] = static_cast<Y>(round_to(p, range) + shift_out);
  }
}

FXQ_VECTORIZE void finish_bytes(const int32_t* sums, int32_t shift, float m, OutputRange range,
                                int shift_out, int64_t count, uint8_t* y) {
  finish_run(sums, shift, m, range, shift_out, count, y);
}
// Averages of 16-bit values, or into them, are rare.
template <typename Sum, typename Y>
void finish(const Sum* sums, Sum shift, float m, OutputRange range, int shift_out, int64_t count,
            Y* y) {
  if constexpr (sizeof(Sum) == sizeof(int32_t) && sizeof(Y) == 1) {
    finish_bytes(sums, shift, m, range, shift_out, count, y);
  } else {
    finish_run(sums, shift, m, range, shift_out, count, y);
  }
}

}  // namespace

template <typename X, typename Y>
void average(const X* x, const SumTaps& taps, int64_t channels, double divisor,
             const AverageRule& rule, Y* y) {
  using Sum = std::conditional_t<sizeof(X) == 1, int32_t, int64_t>;
  Sum sums[kBlock];
  const auto m = static_cast<float>(rule.ratio / divisor);
  const auto shift = static_cast<Sum>(rule.shift_in * taps.count());
  for (int64_t c = 0; c < channels; c += kBlock) {
    const int64_t count = std::min(kBlock, channels - c);
    sum(x + c, taps, count, sums);
    finish(sums, shift, m, rule.range, rule.shift_out, count, y + c);
  }
}

template void average(const uint8_t*, const SumTaps&, int64_t, double, const AverageRule&,
                      uint8_t*);
template void average(const uint8_t*, const SumTaps&, int64_t, double, const AverageRule&,
                      int16_t*);
template void average(const int16_t*, const SumTaps&, int64_t, double, const AverageRule&,
                      uint8_t*);
template void average(const int16_t*, const SumTaps&, int64_t, double, const AverageRule&,
                      int16_t*);

AverageRule average_rule(AttrReader& reader, DType from, DType to) {
  AverageRule rule;
  rule.ratio = reader.scale("scale_in") / reader.scale("scale_out");
  rule.range = output_range(reader, to);
  rule.shift_in = storage_shift(from);
  rule.shift_out = storage_shift(to);
  return rule;
}

DType check_average(AttrReader& reader, const Desc& input) {
  const DType dtype = quantized_dtype(reader, input.dtype);
  average_rule(reader, input.dtype, dtype);
  return dtype;
}

}  // namespace fxq::kernels
