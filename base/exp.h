// A float exponential that loops can be vectorised over, with the same bits on every machine.
#pragma once

#include <cstdint>
#include <cstring>

#include "fxq/base/row_math.h"

namespace fxq {

// e^x to 2 units in the last place for x in [-87.33, 88]; 0 below, e^88 above, NaN for NaN.
// Cephes' expf: x = n * ln 2 + r, e^r = 1 + r + r^2 * p(r). No branch holds arithmetic, or
// compilers would not vectorise a loop over it.
inline float exp_f32(float x) {
  constexpr float kLow = -87.33F, kHigh = 88.0F;
  float inside = kLow > x ? kLow : x;
  inside = kHigh < inside ? kHigh : inside;
  const float shifted = inside * 1.44269504088896341F + kRintShift;  // its last bits are n
  const float n = shifted - kRintShift;
  const float r = (inside - n * 0.693359375F) - n * -2.12194440e-4F;
  float p = 1.9875691500e-4F;
  p = p * r + 1.3981999507e-3F;
  p = p * r + 8.3334519073e-3F;
  p = p * r + 4.1665795894e-2F;
  p = p * r + 1.6666665459e-1F;
  p = p * r + 5.0000001201e-1F;
  const float e = (p * r) * r + r + 1.0F;
  uint32_t bits;
  std::memcpy(&bits, &shifted, sizeof bits);
  bits = (bits + 127U) << 23;  // 2^n: what stands above n's lowest 8 bits is shifted out
  float power;
  std::memcpy(&power, &bits, sizeof power);
  float y = e * power;
  std::memcpy(&bits, &y, sizeof bits);
  bits &= x < kLow ? 0U : ~0U;
  std::memcpy(&y, &bits, sizeof y);
  return y;
}

}  // namespace fxq
