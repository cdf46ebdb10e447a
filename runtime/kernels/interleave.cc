// 16 pixels at a time: of each plane, 16 bytes are spread over the 48 of the result by three byte
// shuffles (a mask of 0x80 gives 0), and the planes are joined by OR.
#include "fxq/runtime/kernels/interleave.h"

#include <cstddef>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace fxq {
namespace {

void interleave_rest(const uint8_t* const planes[3], int64_t begin, int64_t count, uint8_t* to) {
  for (int64_t i = begin; i < count; ++i) {
    for (int64_t c = 0; c < 3; ++c) to[3 * i + c] = planes[c][i];
  }
}

#if defined(__x86_64__)

constexpr int kLanes = 16;

// spread[c][part][lane]: which byte of plane c is byte 16 * part + lane of the result.
struct Masks {
  alignas(16) uint8_t spread[3][3][kLanes];
};

constexpr Masks make_masks() {
  Masks masks{};
  for (int c = 0; c < 3; ++c) {
    for (int at = 0; at < 3 * kLanes; ++at) {
      masks.spread[c][at / kLanes][at % kLanes] =
          at % 3 == c ? static_cast<uint8_t>(at / 3) : uint8_t{0x80};
    }
  }
  return masks;
}

constexpr Masks kMasks = make_masks();

__attribute__((target("ssse3"))) int64_t interleave_blocks(const uint8_t* const planes[3],
                                                           int64_t count, uint8_t* to) {
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (int part = 0; part < 3; ++part) {
      __m128i bytes = _mm_setzero_si128();
      for (int c = 0; c < 3; ++c) {
        const __m128i plane = _mm_loadu_si128(reinterpret_cast<const __m128i*>(planes[c] + i));
        const auto* mask = reinterpret_cast<const __m128i*>(kMasks.spread[c][part]);
        bytes = _mm_or_si128(bytes, _mm_shuffle_epi8(plane, _mm_load_si128(mask)));
      }
      _mm_storeu_si128(reinterpret_cast<__m128i*>(to + 3 * i + kLanes * part), bytes);
    }
  }
  return i;
}

#endif

}  // namespace

void interleave_three(const uint8_t* const planes[3], int64_t count, uint8_t* to) {
  int64_t done = 0;
#if defined(__x86_64__)
  if (__builtin_cpu_supports("ssse3") != 0) done = interleave_blocks(planes, count, to);
#endif
  interleave_rest(planes, done, count, to);
}

}  // namespace fxq
