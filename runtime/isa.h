// What the machine's integer kernels can do, as oneDNN sees it: ONEDNN_MAX_CPU_ISA (process-wide,
// read once, before the first kernel) lowers it for tests. Never changes a result, only the route
// to it.
#pragma once

#include <string_view>

namespace fxq {

enum class Isa { kSse41, kAvx2, kAvx2Vnni, kAvx512, kAvx512Vnni, kAvx512Amx };

Isa effective_isa();
std::string_view isa_name(Isa isa);
// u8 x s8 products are summed exactly in 32 bits.
bool has_vnni();
// The AVX-512 form of it, which our own kernels are written for.
bool has_avx512_vnni();

}  // namespace fxq
