// The kernels of this build: one explicit table of (name, version, Kernel), filled from
// kernels/kernels.def. A row whose body is missing is a link error.
#pragma once

#include <string_view>
#include <vector>

#include "fxq/runtime/kernel.h"

namespace fxq {

struct KernelRow {
  std::string_view name;
  int version;
  Kernel kernel;
};

const std::vector<KernelRow>& kernel_table();

// Adds a kernel from outside, for programs whose steps name it; the process that lowers and every
// process that runs such a program must. AlreadyExists if there is one of that name and version.
absl::Status register_kernel(std::string_view name, int version, const Kernel& kernel);

// Of the table, or registered. Null if there is none of that name and version.
const Kernel* find_kernel(std::string_view name, int version);

}  // namespace fxq
