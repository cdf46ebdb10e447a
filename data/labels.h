// Labels: one class index per sample, from a .npy of any integer type ([N] or [N,1]) or a .csv or
// .txt with one integer per line (a first line that is no number is a heading).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace fxq {

// Errors name the file and the line or the type found.
absl::StatusOr<std::vector<int64_t>> read_labels(const std::string& path);

}  // namespace fxq
