// kernels.def is read twice: once to declare the bodies, once to list them.
#include "fxq/runtime/kernel_table.h"

namespace fxq {

namespace kernels {
#define KERNEL(name, version) Kernel name##_kernel();
#include "fxq/runtime/kernels/kernels.def"
#undef KERNEL
}  // namespace kernels

const std::vector<KernelRow>& kernel_table() {
  static const std::vector<KernelRow>* const table = new std::vector<KernelRow>{
#define KERNEL(name, version) {#name, version, kernels::name##_kernel()},
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
