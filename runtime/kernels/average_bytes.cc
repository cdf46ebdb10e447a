// 3x3 windows, stride 1: per channel 3 loads for a column sum and 3 for the window, instead of 9;
// 32 sums are one 512-bit register.
#include "fxq/runtime/kernels/average_bytes.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "fxq/base/vectorize.h"

namespace fxq::kernels {
namespace {

constexpr int64_t kBlock = 32;
constexpr int64_t kMostProved = 1 << 14;  // sums tried per rule

int by_definition(int64_t sum, const ByteAverage& average) {
  const float p = static_cast<float>(static_cast<int32_t>(sum) - average.shift_in) * average.m;
  return round_to(p, average.range) + average.shift_out;
}

FXQ_INLINE uint16_t in_integers(uint16_t sum, const ByteAverage& a) {
  const auto scaled = static_cast<uint16_t>((static_cast<uint32_t>(sum) * a.multiplier) >> 16);
  const auto shifted = static_cast<uint16_t>(static_cast<uint16_t>(scaled + a.bias) >> a.shift);
  return std::min(std::max(shifted, a.low), a.high);
}

bool is_proved(const ByteAverage& average) {
  for (int64_t sum = 0; sum <= average.taps * 255; ++sum) {
    if (in_integers(static_cast<uint16_t>(sum), average) != by_definition(sum, average)) {
      return false;
    }
  }
  return true;
}

// The largest shift whose numbers fit 16 bits; then the neighbours of the rounded constants.
bool find_integers(ByteAverage& average) {
  const double m = average.m;
  const double offset = average.shift_out - average.shift_in * m + 0.5;
  const double most = static_cast<double>(average.taps) * 255 * m + std::max(offset, 0.0);
  int shift = 0;
  while (shift < 15 && m * std::ldexp(1.0, 17 + shift) < 65535 &&
         most * std::ldexp(1.0, shift + 1) < 65535) {
    ++shift;
  }
  if (m * std::ldexp(1.0, 16 + shift) >= 65535 || offset < 0) return false;
  average.shift = shift;
  average.low = static_cast<uint16_t>(by_definition(-(1 << 22), average));
  average.high = static_cast<uint16_t>(by_definition(1 << 22, average));
  const int64_t multiplier = std::llround(m * std::ldexp(1.0, 16 + shift));
  const int64_t bias = std::llround(offset * std::ldexp(1.0, shift));
  for (const int64_t more : {0, 1, -1}) {
    for (const int64_t bias_more : {0, 1, -1}) {
      if (multiplier + more < 0 || bias + bias_more < 0) continue;
      average.multiplier = static_cast<uint16_t>(multiplier + more);
      average.bias = static_cast<uint16_t>(bias + bias_more);
      if (is_proved(average)) return true;
    }
  }
  return false;
}

FXQ_INLINE void sum_block(const uint16_t* sums, int64_t columns, int64_t step, uint16_t* total) {
  typedef uint16_t Block __attribute__((vector_size(kBlock * sizeof(uint16_t))));
  Block all;
  std::memcpy(&all, sums, sizeof all);
  for (int64_t k = 1; k < columns; ++k) {
    Block next;
    std::memcpy(&next, sums + k * step, sizeof next);
    all += next;
  }
  std::memcpy(total, &all, sizeof all);
}

// finish(sum) for each sum; full blocks of constant length become vector code.
template <typename Finish>
FXQ_INLINE void all_blocks(const uint16_t* sums, int64_t columns, int64_t step, int64_t count,
                           const Finish& finish, uint8_t* y) {
  int64_t i = 0;
  for (; i + kBlock <= count; i += kBlock) {
    uint16_t total[kBlock];
    sum_block(sums + i, columns, step, total);
    for (int64_t j = 0; j < kBlock; ++j) y[i + j] = static_cast<uint8_t>(finish(total[j]));
  }
  for (; i < count; ++i) {
    uint16_t total = 0;
    for (int64_t k = 0; k < columns; ++k) total = static_cast<uint16_t>(total + sums[i + k * step]);
    y[i] = static_cast<uint8_t>(finish(total));
  }
}

FXQ_VECTORIZE void average_in_integers(const uint16_t* sums, int64_t columns, int64_t step,
                                       int64_t count, ByteAverage average, uint8_t* y) {
  all_blocks(
      sums, columns, step, count, [average](uint16_t sum) { return in_integers(sum, average); }, y);
}

FXQ_VECTORIZE void average_in_floats(const uint16_t* sums, int64_t columns, int64_t step,
                                     int64_t count, ByteAverage average, uint8_t* y) {
  const auto finish = [average](uint16_t sum) {
    const float p = static_cast<float>(static_cast<int32_t>(sum) - average.shift_in) * average.m;
    return round_to(p, average.range) + average.shift_out;
  };
  all_blocks(sums, columns, step, count, finish, y);
}

FXQ_VECTORIZE void sum_rows_of_bytes(const uint8_t* x, int64_t rows, int64_t row_step,
                                     int64_t count, uint16_t* sums) {
  int64_t i = 0;
  for (; i + kBlock <= count; i += kBlock) {
    typedef uint8_t Bytes __attribute__((vector_size(kBlock)));
    typedef uint16_t Block __attribute__((vector_size(kBlock * sizeof(uint16_t))));
    Block all = {};
    for (int64_t r = 0; r < rows; ++r) {
      Bytes next;
      std::memcpy(&next, x + r * row_step + i, sizeof next);
      all += __builtin_convertvector(next, Block);
    }
    std::memcpy(sums + i, &all, sizeof all);
  }
  for (; i < count; ++i) {
    uint16_t all = 0;
    for (int64_t r = 0; r < rows; ++r) all = static_cast<uint16_t>(all + x[r * row_step + i]);
    sums[i] = all;
  }
}

}  // namespace

ByteAverage make_byte_average(int64_t taps, double divisor, const AverageRule& rule) {
  ByteAverage average;
  average.taps = taps;
  average.divisor = divisor;
  average.m = static_cast<float>(rule.ratio / divisor);
  average.shift_in = static_cast<int32_t>(rule.shift_in * taps);
  average.shift_out = rule.shift_out;
  average.range = rule.range;
  average.in_integers = average.m > 0 && taps * 255 <= kMostProved && find_integers(average);
  return average;
}

void sum_rows(const uint8_t* x, int64_t rows, int64_t row_step, int64_t count, uint16_t* sums) {
  sum_rows_of_bytes(x, rows, row_step, count, sums);
}

void average_columns(const uint16_t* sums, int64_t columns, int64_t step, int64_t count,
                     const ByteAverage& average, uint8_t* y) {
  if (average.in_integers) {
    average_in_integers(sums, columns, step, count, average, y);
  } else {
    average_in_floats(sums, columns, step, count, average, y);
  }
}

}  // namespace fxq::kernels
