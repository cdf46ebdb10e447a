// v = x / scale is clamped to a step beyond the range first, so that the shift rounds it exactly.
#include "fxq/quant/fake_quantize_rows.h"

#include <algorithm>
#include <array>

#include "fxq/base/row_math.h"
#include "fxq/base/vectorize.h"

namespace fxq {
namespace {

constexpr size_t kLanes = 16;

FXQ_INLINE float rounded(float v, float low, float high) {
  v = v < high ? v : high;
  v = v > low ? v : low;
  return (v + kRintShift) - kRintShift;
}

// One value of a row, scaled by `factor` before it is quantized and divided by it afterwards (1
// where nothing is folded). The sums want a division by `factor` at the end.
struct Terms {
  float factor, inverse, low, high, back, limit;
  Terms(float by, const FakeQuantRow& to, float cut)
      : factor(by),
        inverse(1.0F / to.scale),
        low(to.low),
        high(to.high),
        back(to.scale / by),
        limit(cut) {}
};

template <ScaleRule kRule>
FXQ_INLINE void add_gradient(float x, float g, const Terms& at, float& gx, float& by_factor,
                             float& by_scale) {
  const float scaled = x * at.factor, v = scaled * at.inverse;
  const float q = rounded(v, at.low - 1, at.high + 1);
  const float clamped = q < at.low ? at.low : (q > at.high ? at.high : q);
  bool inside = q >= at.low && q <= at.high;
  if constexpr (kRule == ScaleRule::kLsq) by_scale += g * (clamped - (inside ? v : 0.0F));
  if constexpr (kRule == ScaleRule::kPact) {
    const float above = scaled >= at.limit ? g : 0.0F;
    by_scale += scaled <= -at.limit ? -g : above;
    inside = scaled < at.limit && scaled > -at.limit;
  }
  gx = inside ? g : 0.0F;
  by_factor += g * ((inside ? x : 0.0F) - clamped * at.back);
}

template <ScaleRule kRule>
FXQ_INLINE RowGradients gradients(absl::Span<const float> x, absl::Span<const float> g,
                                  const Terms& at, absl::Span<float> gx) {
  const float* in = x.data();
  const float* gradient = g.data();
  float* out = gx.data();
  const size_t n = x.size();
  std::array<float, kLanes> factors{}, scales{};
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane) {
      add_gradient<kRule>(in[i + lane], gradient[i + lane], at, out[i + lane], factors[lane],
                          scales[lane]);
    }
  }
  for (size_t lane = 0; i < n; ++i, ++lane) {
    add_gradient<kRule>(in[i], gradient[i], at, out[i], factors[lane], scales[lane]);
  }
  RowGradients sums;
  for (const float sum : factors) sums.factor += sum;
  for (const float sum : scales) sums.scale += sum;
  sums.factor /= at.factor;
  sums.scale /= at.factor;
  return sums;
}

}  // namespace

FXQ_VECTORIZE void fake_quantize_row(absl::Span<const float> x, const FakeQuantRow& to,
                                     absl::Span<float> y) {
  const float inverse = 1.0F / to.scale, scale = to.scale, low = to.low, high = to.high;
  const float* in = x.data();
  float* out = y.data();
  const size_t n = x.size();
  for (size_t i = 0; i < n; ++i) out[i] = rounded(in[i] * inverse, low, high) * scale;
}

FXQ_VECTORIZE void fake_quantize_gradient_row(absl::Span<const float> x, absl::Span<const float> g,
                                              const FakeQuantRow& to, absl::Span<float> gx) {
  const float inverse = 1.0F / to.scale, low = to.low, high = to.high;
  const float* in = x.data();
  const float* gradient = g.data();
  float* out = gx.data();
  const size_t n = x.size();
  for (size_t i = 0; i < n; ++i) {
    const float q = rounded(in[i] * inverse, low - 1, high + 1);
    const float kept = q < low ? 0.0F : gradient[i];
    out[i] = q > high ? 0.0F : kept;
  }
}

FXQ_VECTORIZE void folded_row(absl::Span<const float> w, float factor, const FakeQuantRow& to,
                              absl::Span<float> y) {
  if (factor == 0) {
    std::copy(w.begin(), w.end(), y.begin());
    return;
  }
  const float inverse = 1.0F / to.scale, low = to.low, high = to.high, back = to.scale / factor;
  const float* in = w.data();
  float* out = y.data();
  const size_t n = w.size();
  for (size_t i = 0; i < n; ++i) out[i] = rounded(in[i] * factor * inverse, low, high) * back;
}

FXQ_VECTORIZE RowGradients lsq_gradient_row(absl::Span<const float> x, absl::Span<const float> g,
                                            float factor, const FakeQuantRow& to,
                                            absl::Span<float> gx) {
  return gradients<ScaleRule::kLsq>(x, g, {factor, to, 0}, gx);
}

FXQ_VECTORIZE RowGradients pact_gradient_row(absl::Span<const float> x, absl::Span<const float> g,
                                             float factor, const FakeQuantRow& to, float alpha,
                                             absl::Span<float> gx) {
  return gradients<ScaleRule::kPact>(x, g, {factor, to, alpha}, gx);
}

FXQ_VECTORIZE RowGradients folded_gradient_row(absl::Span<const float> w, absl::Span<const float> g,
                                               float factor, const FakeQuantRow& to,
                                               absl::Span<float> gw) {
  return gradients<ScaleRule::kFixed>(w, g, {factor, to, 0}, gw);
}

}  // namespace fxq
