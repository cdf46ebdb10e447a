// p = float(sum + bias) * multiplier
// p = fma(other_scale, float(q_other), p)        with a residual
// p = min(max(p, low), high)                     relu, relu6
// u8:  sat(rint(p))      i8: sat_u8(rint(p + 128)), stored so      i16: sat(rint(p))      f32: p
#include "fxq/runtime/kernels/conv_epilogue.h"

#include <algorithm>
#include <cmath>

#include "fxq/base/vectorize.h"

namespace fxq::conv {
namespace {

constexpr int64_t kBlock = 512;  // floats that stay in L1 between the passes

// Unsigned addition: a shifted source's sum and bias may each pass 2^31 although their total
// cannot.
FXQ_VECTORIZE void scale_sums(const int32_t* __restrict sums, const int32_t* __restrict bias,
                              const float* __restrict multiplier, int64_t count,
                              float* __restrict p) {
  for (int64_t i = 0; i < count; ++i) {
    const uint32_t sum = static_cast<uint32_t>(sums[i]) + static_cast<uint32_t>(bias[i]);
    p[i] = static_cast<float>(static_cast<int32_t>(sum)) * multiplier[i];
  }
}

FXQ_VECTORIZE void scale_long_sums(const int64_t* __restrict sums, const int32_t* __restrict bias,
                                   const float* __restrict multiplier, int64_t count,
                                   float* __restrict p) {
  for (int64_t i = 0; i < count; ++i) {
    p[i] = static_cast<float>(sums[i] + bias[i]) * multiplier[i];
  }
}

FXQ_VECTORIZE void add_bytes(const uint8_t* __restrict other, float scale, int shift, int64_t count,
                             float* __restrict p) {
  for (int64_t i = 0; i < count; ++i) {
    p[i] = std::fma(scale, static_cast<float>(other[i] - shift), p[i]);
  }
}

FXQ_VECTORIZE void add_words(const int16_t* __restrict other, float scale, int64_t count,
                             float* __restrict p) {
  for (int64_t i = 0; i < count; ++i) p[i] = std::fma(scale, static_cast<float>(other[i]), p[i]);
}

FXQ_VECTORIZE void clamp(float low, float high, int64_t count, float* p) {
  for (int64_t i = 0; i < count; ++i) {
    const float raised = p[i] < low ? low : p[i];
    p[i] = raised > high ? high : raised;
  }
}

FXQ_VECTORIZE void store_bytes(const float* __restrict p, float shift, int64_t count,
                               uint8_t* __restrict y) {
  for (int64_t i = 0; i < count; ++i) {
    const float rounded = std::rint(p[i] + shift);
    const float raised = rounded < 0.0f ? 0.0f : rounded;
    y[i] = static_cast<uint8_t>(static_cast<int32_t>(raised > 255.0f ? 255.0f : raised));
  }
}

FXQ_VECTORIZE void store_words(const float* __restrict p, int64_t count, int16_t* __restrict y) {
  for (int64_t i = 0; i < count; ++i) {
    const float rounded = std::rint(p[i]);
    const float raised = rounded < -32768.0f ? -32768.0f : rounded;
    y[i] = static_cast<int16_t>(static_cast<int32_t>(raised > 32767.0f ? 32767.0f : raised));
  }
}

void scale_any(const int32_t* sums, const int32_t* bias, const float* m, int64_t n, float* p) {
  scale_sums(sums, bias, m, n, p);
}

void scale_any(const int64_t* sums, const int32_t* bias, const float* m, int64_t n, float* p) {
  scale_long_sums(sums, bias, m, n, p);
}

void add_other(const Epilogue& e, const std::byte* other, int64_t at, int64_t count, float* p) {
  if (e.other == DType::kI16) {
    add_words(reinterpret_cast<const int16_t*>(other) + at, e.other_scale, count, p);
  } else {
    const int shift = e.other == DType::kI8 ? 128 : 0;
    add_bytes(reinterpret_cast<const uint8_t*>(other) + at, e.other_scale, shift, count, p);
  }
}

void store(DType output, const float* p, int64_t count, int64_t at, const EpilogueTarget& target) {
  switch (output) {
    case DType::kF32: {
      float* y = reinterpret_cast<float*>(target.output) + at;
      for (int64_t i = 0; i < count; ++i) y[i * target.channel_stride] = p[i];
      return;
    }
    case DType::kI16:
      return store_words(p, count, reinterpret_cast<int16_t*>(target.output) + at);
    default:
      return store_bytes(p, output == DType::kI8 ? 128.0f : 0.0f, count,
                         reinterpret_cast<uint8_t*>(target.output) + at);
  }
}

template <typename Sum>
void finish_rows(const Epilogue& epilogue, const Sum* sums, const int32_t* bias,
                 const float* multiplier, int64_t pixels, int64_t channels,
                 const EpilogueTarget& target) {
  float p[kBlock];
  for (int64_t pixel = 0; pixel < pixels; ++pixel) {
    for (int64_t c = 0; c < channels; c += kBlock) {
      const int64_t count = std::min(kBlock, channels - c);
      const int64_t at = pixel * target.pixel_stride + c * target.channel_stride;
      scale_any(sums + pixel * channels + c, bias + c, multiplier + c, count, p);
      if (epilogue.has_other) add_other(epilogue, target.other, at, count, p);
      if (epilogue.clamps()) clamp(epilogue.low, epilogue.high, count, p);
      store(epilogue.output, p, count, at, target);
    }
  }
}

}  // namespace

void finish(const Epilogue& epilogue, const int32_t* sums, const int32_t* bias,
            const float* multiplier, int64_t pixels, int64_t channels,
            const EpilogueTarget& target) {
  finish_rows(epilogue, sums, bias, multiplier, pixels, channels, target);
}

void finish(const Epilogue& epilogue, const int64_t* sums, const int32_t* bias,
            const float* multiplier, int64_t pixels, int64_t channels,
            const EpilogueTarget& target) {
  finish_rows(epilogue, sums, bias, multiplier, pixels, channels, target);
}

FXQ_VECTORIZE void add_sums(int32_t* __restrict total, const int32_t* __restrict part,
                            int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    total[i] =
        static_cast<int32_t>(static_cast<uint32_t>(total[i]) + static_cast<uint32_t>(part[i]));
  }
}

}  // namespace fxq::conv
