// oneDNN's effective ISA -> what our own kernels may use.
#include "fxq/runtime/isa.h"

#include "dnnl.hpp"

namespace fxq {

Isa effective_isa() {
  static const Isa isa = [] {
    switch (dnnl::get_effective_cpu_isa()) {
      case dnnl::cpu_isa::sse41:
      case dnnl::cpu_isa::avx:
        return Isa::kSse41;
      case dnnl::cpu_isa::avx2:
        return Isa::kAvx2;
      case dnnl::cpu_isa::avx2_vnni:
        return Isa::kAvx2Vnni;
      case dnnl::cpu_isa::avx512_core:
        return Isa::kAvx512;
      case dnnl::cpu_isa::avx512_core_amx:
        return Isa::kAvx512Amx;
      default:
        // What oneDNN adds to avx512_core_vnni (bf16) keeps its exactness.
        return dnnl::get_effective_cpu_isa() > dnnl::cpu_isa::avx512_core ? Isa::kAvx512Vnni
                                                                          : Isa::kSse41;
    }
  }();
  return isa;
}

std::string_view isa_name(Isa isa) {
  switch (isa) {
    case Isa::kSse41:
      return "sse41";
    case Isa::kAvx2:
      return "avx2";
    case Isa::kAvx2Vnni:
      return "avx2_vnni";
    case Isa::kAvx512:
      return "avx512_core";
    case Isa::kAvx512Vnni:
      return "avx512_core_vnni";
    case Isa::kAvx512Amx:
      return "avx512_core_amx";
  }
  return "unknown";
}

bool has_avx512_vnni() {
  return effective_isa() == Isa::kAvx512Vnni || effective_isa() == Isa::kAvx512Amx;
}
bool has_vnni() { return effective_isa() == Isa::kAvx2Vnni || has_avx512_vnni(); }

}  // namespace fxq
