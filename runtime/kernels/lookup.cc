// With AVX-512 VBMI: two vpermi2b, one per half of the table, chosen by the top bit of the index.
#include "fxq/runtime/kernels/lookup.h"

#include "fxq/runtime/isa.h"
#include "fxq/runtime/kernels/checks.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace fxq::kernels {
namespace {

void look_up_plain(const ByteTable& table, const Rows& rows, const uint8_t* x, uint8_t* y) {
  for (int64_t row = 0; row < rows.rows; ++row, x += rows.x_stride, y += rows.y_stride) {
    for (int64_t i = 0; i < rows.count; ++i) y[i] = table[x[i]];
  }
}

#if defined(__x86_64__)
__attribute__((target("avx512f,avx512bw,avx512vbmi"))) void look_up_vbmi(const ByteTable& table,
                                                                         const Rows& rows,
                                                                         const uint8_t* x,
                                                                         uint8_t* y) {
  const __m512i t0 = _mm512_loadu_si512(table.data());
  const __m512i t1 = _mm512_loadu_si512(table.data() + 64);
  const __m512i t2 = _mm512_loadu_si512(table.data() + 128);
  const __m512i t3 = _mm512_loadu_si512(table.data() + 192);
  for (int64_t row = 0; row < rows.rows; ++row, x += rows.x_stride, y += rows.y_stride) {
    for (int64_t i = 0; i < rows.count; i += 64) {
      const int64_t left = rows.count - i;
      const __mmask64 mask = left >= 64 ? ~__mmask64{0} : (__mmask64{1} << left) - 1;
      const __m512i index = _mm512_maskz_loadu_epi8(mask, x + i);
      const __m512i low = _mm512_permutex2var_epi8(t0, index, t1);
      const __m512i high = _mm512_permutex2var_epi8(t2, index, t3);
      const __mmask64 top = _mm512_movepi8_mask(index);
      _mm512_mask_storeu_epi8(y + i, mask, _mm512_mask_blend_epi8(top, low, high));
    }
  }
}
#endif

bool use_vbmi() {
#if defined(__x86_64__)
  static const bool use = has_avx512_vnni() && __builtin_cpu_supports("avx512vbmi") != 0;
  return use;
#else
  return false;
#endif
}

}  // namespace

void look_up_rows(const ByteTable& table, const Rows& rows, const uint8_t* x, uint8_t* y) {
#if defined(__x86_64__)
  if (use_vbmi()) return look_up_vbmi(table, rows, x, y);
#endif
  look_up_plain(table, rows, x, y);
}

void look_up(const ByteTable& table, const uint8_t* x, uint8_t* y, int64_t count) {
  look_up_rows(table, {1, count, 0, 0}, x, y);
}

ByteTable requantize_table(DType from, double scale_in, DType to, double scale_out) {
  const auto m = static_cast<float>(scale_in / scale_out);
  const IntegerRange range = integer_range(to);
  ByteTable table;
  for (int i = 0; i < 256; ++i) {
    const float p = static_cast<float>(i - storage_shift(from)) * m;
    const int q = round_to(p, {static_cast<float>(range.low), static_cast<float>(range.high)});
    table[i] = static_cast<uint8_t>(q + storage_shift(to));
  }
  return table;
}

const char* look_up_implementation() { return use_vbmi() ? "own:avx512_vbmi" : "own"; }

}  // namespace fxq::kernels
