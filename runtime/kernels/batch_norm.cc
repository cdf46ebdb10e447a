// BatchNorm: y = sat(rint(act(fmaf((float)q, a[c], b[c])))); inputs x, a and b: constant f32 [C];
//            attrs dtype, activation, clip_hi.
#include <cmath>

#include "fxq/base/status.h"
#include "fxq/base/vectorize.h"
#include "fxq/runtime/isa.h"
#include "fxq/runtime/kernels/checks.h"
#include "fxq/runtime/kernels/range_step.h"

#if defined(__x86_64__)
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // GCC bug 105593: its own intrinsics
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#include <immintrin.h>
#endif

namespace fxq {
namespace {

using namespace kernels;  // NOLINT(google-build-using-namespace): this file is one of its members

absl::StatusOr<std::vector<Desc>> infer_batch_norm(const Step& step, Descs inputs) {
  AttrReader reader(step);
  if (count_is(reader, inputs, 3, 3) && is_quantized_tensor(reader, inputs, 0)) {
    const int64_t rank = inputs[0].rank();
    if (rank < 2 || rank > 5)
      reader.complain(fmt::format("input 0 has {} dimensions, needs 2 to 5", rank));
    for (size_t i : {1, 2}) {
      if (!is_constant(reader, inputs, i, DType::kF32) || rank < 2) continue;
      if (inputs[i].dims != std::vector<int64_t>{inputs[0].dims[1]}) {
        reader.complain(fmt::format("input {} is {}, needs one value for each of {} channels", i,
                                    inputs[i].describe(), inputs[0].dims[1]));
      }
    }
  }
  FXQ_RETURN_IF_ERROR(reader.status());
  const DType dtype = quantized_dtype(reader, inputs[0].dtype);
  output_range(reader, dtype);
  FXQ_RETURN_IF_ERROR(reader.status());
  return std::vector<Desc>{tensor_desc(dtype, inputs[0].dims)};
}

struct AffineRule {
  OutputRange range;
  int shift_in = 0;
  int shift_out = 0;
};

template <typename X, typename Y>
FXQ_INLINE void affine_run(const X* x, const float* a, const float* b, Y* y, int64_t count,
                           AffineRule rule) {
  FXQ_IVDEP
  for (int64_t i = 0; i < count; ++i) {
    const float p =
        std::fma(static_cast<float>(static_cast<int>(x[i]) - rule.shift_in), a[i], b[i]);
    y[i] = static_cast<Y>(round_to(p, rule.range) + rule.shift_out);
  }
}
// Rows of [pixels, C].
struct Pixels {
  int64_t pixels;
  int64_t channels;
};

FXQ_VECTORIZE void affine_bytes(const uint8_t* x, const float* a, const float* b, uint8_t* y,
                                int64_t count, AffineRule rule) {
  affine_run(x, a, b, y, count, rule);
}

template <typename X, typename Y>
void affine(const X* x, const float* a, const float* b, Y* y, Pixels size, AffineRule rule) {
  for (int64_t pixel = 0; pixel < size.pixels; ++pixel, x += size.channels, y += size.channels) {
    affine_run(x, a, b, y, size.channels, rule);
  }
}

#if defined(__x86_64__)
// 16 channels at a time, in registers of 512 bits, which compilers do not take of themselves.
struct Affine16 {
  __m512i shift_in, shift_out;
  __m512 low, high;
};

__attribute__((target("avx512f,avx512bw,avx512vl"), always_inline)) inline __m128i affine_16(
    __m128i x, __m512 a, __m512 b, const Affine16& rule) {
  const __m512i q = _mm512_sub_epi32(_mm512_cvtepu8_epi32(x), rule.shift_in);
  const __m512 value = _mm512_fmadd_ps(_mm512_cvtepi32_ps(q), a, b);
  const __m512 inside = _mm512_min_ps(_mm512_max_ps(value, rule.low), rule.high);
  constexpr int kHalfToEven = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
  const __m512i rounded = _mm512_cvt_roundps_epi32(inside, kHalfToEven);
  return _mm512_cvtepi32_epi8(_mm512_add_epi32(rounded, rule.shift_out));
}

__attribute__((target("avx512f,avx512bw,avx512vl"))) void affine_avx512(
    const uint8_t* x, const float* a, const float* b, uint8_t* y, Pixels size, AffineRule rule) {
  const Affine16 rule16{_mm512_set1_epi32(rule.shift_in), _mm512_set1_epi32(rule.shift_out),
                        _mm512_set1_ps(rule.range.low), _mm512_set1_ps(rule.range.high)};
  const int64_t whole = size.channels / 16 * 16;
  const auto rest = static_cast<__mmask16>((1 << (size.channels - whole)) - 1);
  for (int64_t pixel = 0; pixel < size.pixels; ++pixel, x += size.channels, y += size.channels) {
    for (int64_t c = 0; c < whole; c += 16) {
      const __m128i q = _mm_loadu_si128(reinterpret_cast<const __m128i*>(x + c));
      const __m128i result = affine_16(q, _mm512_loadu_ps(a + c), _mm512_loadu_ps(b + c), rule16);
      _mm_storeu_si128(reinterpret_cast<__m128i*>(y + c), result);
    }
    if (rest == 0) continue;
    const __m512 a_rest = _mm512_maskz_loadu_ps(rest, a + whole);
    const __m512 b_rest = _mm512_maskz_loadu_ps(rest, b + whole);
    const __m128i q = _mm_maskz_loadu_epi8(rest, x + whole);
    _mm_mask_storeu_epi8(y + whole, rest, affine_16(q, a_rest, b_rest, rule16));
  }
}
#endif

void affine(const uint8_t* x, const float* a, const float* b, uint8_t* y, Pixels size,
            AffineRule rule) {
#if defined(__x86_64__)
  if (has_avx512_vnni()) return affine_avx512(x, a, b, y, size, rule);
#endif
  for (int64_t pixel = 0; pixel < size.pixels; ++pixel, x += size.channels, y += size.channels) {
    affine_bytes(x, a, b, y, size.channels, rule);
  }
}

template <typename X, typename Y>
std::unique_ptr<BoundStep> batch_norm_step(const Desc& input, const AffineRule& rule, int threads) {
  const int64_t channels = input.dims[1];
  return range_step(numel(input.dims) / channels, 2 * channels, threads, "own",
                    [=](int64_t begin, int64_t end, const StepBuffers& buffers) {
                      const int64_t first = begin * channels;
                      affine(reinterpret_cast<const X*>(buffers.inputs[0]) + first,
                             reinterpret_cast<const float*>(buffers.inputs[1]),
                             reinterpret_cast<const float*>(buffers.inputs[2]),
                             reinterpret_cast<Y*>(buffers.outputs[0]) + first,
                             Pixels{end - begin, channels}, rule);
                    });
}

absl::StatusOr<std::unique_ptr<BoundStep>> bind_batch_norm(const Step& step, Descs inputs,
                                                           Descs outputs, BindContext& context) {
  AttrReader reader(step);
  const DType from = inputs[0].dtype;
  const DType to = outputs[0].dtype;
  const AffineRule rule{output_range(reader, to), storage_shift(from), storage_shift(to)};
  if (is_wide(from) && is_wide(to)) {
    return batch_norm_step<int16_t, int16_t>(inputs[0], rule, context.threads);
  }
  if (is_wide(from)) return batch_norm_step<int16_t, uint8_t>(inputs[0], rule, context.threads);
  if (is_wide(to)) return batch_norm_step<uint8_t, int16_t>(inputs[0], rule, context.threads);
  return batch_norm_step<uint8_t, uint8_t>(inputs[0], rule, context.threads);
}

Sharing share_batch_norm(const Step&, Descs inputs, Descs outputs) {
  if (is_wide(inputs[0].dtype) != is_wide(outputs[0].dtype)) return {};
  return {Sharing::Kind::kInPlace, {0}};
}

}  // namespace

Kernel kernel_BatchNorm() { return {infer_batch_norm, bind_batch_norm, share_batch_norm}; }

}  // namespace fxq
