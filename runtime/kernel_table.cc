// kernels.def is read twice: once to declare the bodies, once to list them.
#include "fxq/runtime/kernel_table.h"

#include <string>

#include "fxq/base/registry.h"

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

namespace {

std::string key_of(std::string_view name, int version) {
  return std::string(name) + " version " + std::to_string(version);
}

Registry<Kernel>& registered() {
  static auto* const kernels = new Registry<Kernel>;
  return *kernels;
}

}  // namespace

const Kernel* find_kernel(std::string_view name, int version) {
  for (const KernelRow& row : kernel_table()) {
    if (row.name == name && row.version == version) return &row.kernel;
  }
  return registered().find(key_of(name, version));
}

absl::Status register_kernel(std::string_view name, int version, const Kernel& kernel) {
  if (!kernel.infer) return absl::InvalidArgumentError("a kernel needs at least infer");
  if (!find_kernel(name, version) && registered().add(key_of(name, version), kernel)) {
    return absl::OkStatus();
  }
  return absl::AlreadyExistsError("a kernel '" + key_of(name, version) + "' exists");
}

}  // namespace fxq
