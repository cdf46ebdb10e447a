// kernels.def is read twice: once to declare the bodies, once to list them.
#include "fxq/runtime/kernel_table.h"

namespace fxq {

#define KERNEL(family, version) Kernel kernel_##family();
#include "fxq/runtime/kernels/kernels.def"
#undef KERNEL

const std::vector<KernelRow>& kernel_table() {
  static const auto* const table = new std::vector<KernelRow>{
#define KERNEL(family, version) {#family, version, kernel_##family()},
#include "fxq/runtime/kernels/kernels.def"
#undef KERNEL
  };
  return *table;
}

const Kernel* find_kernel(std::string_view name, int version) {
  for (const KernelRow& row : kernel_table()) {
    if (row.name == name && row.version == version) return &row.kernel;
  }
  return nullptr;
}

}  // namespace fxq
