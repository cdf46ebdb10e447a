// vpdpbusd on 512-bit registers, tdpbusd on AMX tiles, in loops without memory; best of 15.
#include "int8_peak.h"

#include <algorithm>
#include <chrono>
#include <cstdint>

#if defined(__x86_64__)
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace fxq {
namespace {

double seconds() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration<double>(now).count();
}

template <typename Work>
double best_gops(double operations, const Work& work) {
  double best = 0;
  for (int i = 0; i < 15; ++i) {
    const double begin = seconds();
    work();
    best = std::max(best, operations / (seconds() - begin) * 1e-9);
  }
  return best;
}

#if defined(__x86_64__)

constexpr int64_t kRounds = 200000;
constexpr int kSums = 12;

// The sums stay in registers only if every loop over them is unrolled.
__attribute__((target("avx512f,avx512vnni"))) void vnni_work() {
  __m512i sums[kSums];
#pragma GCC unroll 12
  for (__m512i& sum : sums) {
    sum = _mm512_setzero_si512();
    asm volatile("" : "+v"(sum));  // equal sums would be computed once
  }
  __m512i a = _mm512_set1_epi8(3);
  for (int64_t round = 0; round < kRounds; ++round) {
    asm volatile("" : "+v"(a));
#pragma GCC unroll 12
    for (__m512i& sum : sums) sum = _mm512_dpbusd_epi32(sum, a, a);
  }
#pragma GCC unroll 12
  for (__m512i& sum : sums) asm volatile("" : : "v"(sum));
}

// One permission per process; 18 is the number of the tile data in XSAVE's mask.
bool may_use_amx() {
  constexpr long kRequestPermission = 0x1023;
  uint32_t a = 7, b = 0, c = 0, d = 0;
  asm("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
  return (d & (1U << 25)) != 0 && syscall(SYS_arch_prctl, kRequestPermission, 18) == 0;
}

struct alignas(64) TileConfig {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t bytes_per_row[16] = {};
  uint8_t rows[16] = {};
};

// Tiles of 16 rows x 64 bytes: 4 of sums, 2 + 2 of operands, as in a 32x32 block of a product.
__attribute__((target("amx-tile,amx-int8"))) void amx_work() {
  TileConfig config;
  for (int i = 0; i < 8; ++i) config.bytes_per_row[i] = 64, config.rows[i] = 16;
  alignas(64) static const int8_t operand[1024] = {};
  asm volatile("" : : "r"(&config) : "memory");  // the intrinsic reads more than GCC believes
  _tile_loadconfig(&config);
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  _tile_loadd(4, operand, 64);
  _tile_loadd(5, operand, 64);
  _tile_loadd(6, operand, 64);
  _tile_loadd(7, operand, 64);
  for (int64_t round = 0; round < kRounds / 4; ++round) {
    _tile_dpbusd(0, 4, 6);
    _tile_dpbusd(1, 4, 7);
    _tile_dpbusd(2, 5, 6);
    _tile_dpbusd(3, 5, 7);
  }
  _tile_release();
}

}  // namespace

double vnni_gops() {
  if (!__builtin_cpu_supports("avx512vnni")) return 0;
  return best_gops(2.0 * 64 * kSums * kRounds, vnni_work);
}

double amx_gops() {
  if (!may_use_amx()) return 0;
  return best_gops(2.0 * 16 * 16 * 64 * 4 * (kRounds / 4), amx_work);
}

#else

}  // namespace

double vnni_gops() { return 0; }
double amx_gops() { return 0; }

#endif

}  // namespace fxq
