// In AVX-512, 16 elements at a time with a masked tail: runs are often as short as the channels of
// a squeeze-and-excite scale.
#include "fxq/runtime/isa.h"
#include "fxq/runtime/kernels/binary_run.h"

#if defined(__x86_64__)
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // GCC bug 105593: its own intrinsics
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#include <immintrin.h>
#endif

namespace fxq::kernels {
namespace {

FXQ_VECTORIZE void add_plain(const uint8_t* a, int64_t step_a, const uint8_t* b, int64_t step_b,
                             uint8_t* y, int64_t count, BinaryRule rule) {
  binary_any<AddOp>(a, step_a, b, step_b, y, count, rule);
}
FXQ_VECTORIZE void mul_plain(const uint8_t* a, int64_t step_a, const uint8_t* b, int64_t step_b,
                             uint8_t* y, int64_t count, BinaryRule rule) {
  binary_any<MulOp>(a, step_a, b, step_b, y, count, rule);
}

#if defined(__x86_64__)
#define FXQ_AVX512 __attribute__((target("avx512f,avx512bw,avx512vl")))

struct Vectors {
  __m512 a, b, low, high;
  __m512i shift_a, shift_b, shift_out;
};

FXQ_AVX512 FXQ_INLINE Vectors vectors_of(const BinaryRule& rule) {
  return {_mm512_set1_ps(rule.a),           _mm512_set1_ps(rule.b),
          _mm512_set1_ps(rule.range.low),   _mm512_set1_ps(rule.range.high),
          _mm512_set1_epi32(rule.shift_a),  _mm512_set1_epi32(rule.shift_b),
          _mm512_set1_epi32(rule.shift_out)};
}

FXQ_AVX512 FXQ_INLINE __m512 floats(__m128i bytes, __m512i shift) {
  return _mm512_cvtepi32_ps(_mm512_sub_epi32(_mm512_cvtepu8_epi32(bytes), shift));
}

template <typename Op>
FXQ_AVX512 FXQ_INLINE __m128i apply(__m512 a, __m512 b, const Vectors& rule) {
  __m512 value;
  if constexpr (std::is_same_v<Op, AddOp>) {
    value = _mm512_fmadd_ps(rule.b, b, _mm512_mul_ps(a, rule.a));
  } else {
    value = _mm512_mul_ps(_mm512_mul_ps(a, b), rule.a);
  }
  constexpr int kHalfToEven = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
  const __m512 inside = _mm512_min_ps(_mm512_max_ps(value, rule.low), rule.high);
  const __m512i rounded = _mm512_cvt_roundps_epi32(inside, kHalfToEven);
  return _mm512_cvtepi32_epi8(_mm512_add_epi32(rounded, rule.shift_out));
}

// An operand of step 0 is one byte for all.
template <int kStep>
FXQ_AVX512 FXQ_INLINE __m128i load(const uint8_t* x, int64_t i) {
  if constexpr (kStep == 0) return _mm_set1_epi8(static_cast<char>(*x));
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(x + i));
}

template <int kStep>
FXQ_AVX512 FXQ_INLINE __m128i load_rest(const uint8_t* x, int64_t i, __mmask16 rest) {
  if constexpr (kStep == 0) return _mm_set1_epi8(static_cast<char>(*x));
  return _mm_maskz_loadu_epi8(rest, x + i);
}

template <typename Op, int kStepA, int kStepB>
FXQ_AVX512 void run_avx512(const uint8_t* a, const uint8_t* b, uint8_t* y, int64_t count,
                           const BinaryRule& scalars) {
  const Vectors rule = vectors_of(scalars);
  int64_t i = 0;
  for (; i + 16 <= count; i += 16) {
    const __m512 left = floats(load<kStepA>(a, i), rule.shift_a);
    const __m512 right = floats(load<kStepB>(b, i), rule.shift_b);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(y + i), apply<Op>(left, right, rule));
  }
  if (i == count) return;
  const auto rest = static_cast<__mmask16>((1 << (count - i)) - 1);
  const __m512 left = floats(load_rest<kStepA>(a, i, rest), rule.shift_a);
  const __m512 right = floats(load_rest<kStepB>(b, i, rest), rule.shift_b);
  _mm_mask_storeu_epi8(y + i, rest, apply<Op>(left, right, rule));
}
#endif

// False: no such code here, or the strides are unusual.
template <typename Op>
bool run_in_vectors(const uint8_t* a, int64_t step_a, const uint8_t* b, int64_t step_b, uint8_t* y,
                    int64_t count, const BinaryRule& rule) {
#if defined(__x86_64__)
  if (!has_avx512_vnni() || step_a > 1 || step_b > 1 || step_a + step_b == 0) return false;
  if (step_a == step_b) {
    run_avx512<Op, 1, 1>(a, b, y, count, rule);
  } else if (step_a == 1) {
    run_avx512<Op, 1, 0>(a, b, y, count, rule);
  } else {
    run_avx512<Op, 0, 1>(a, b, y, count, rule);
  }
  return true;
#else
  return false;
#endif
}

}  // namespace

void add_bytes(const uint8_t* a, int64_t step_a, const uint8_t* b, int64_t step_b, uint8_t* y,
               int64_t count, BinaryRule rule) {
  if (run_in_vectors<AddOp>(a, step_a, b, step_b, y, count, rule)) return;
  add_plain(a, step_a, b, step_b, y, count, rule);
}

void mul_bytes(const uint8_t* a, int64_t step_a, const uint8_t* b, int64_t step_b, uint8_t* y,
               int64_t count, BinaryRule rule) {
  if (run_in_vectors<MulOp>(a, step_a, b, step_b, y, count, rule)) return;
  mul_plain(a, step_a, b, step_b, y, count, rule);
}

}  // namespace fxq::kernels
