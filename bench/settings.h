// What the shell sets for a benchmark: FXQ_BENCH_MODEL=m.pt FXQ_BENCH_INPUT=8x3x224x224
#pragma once

#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"

namespace fxq {

inline std::string setting(const char* name, const std::string& standard) {
  const char* value = std::getenv(name);
  return value ? value : standard;
}

inline std::vector<int64_t> dims(const std::string& text) {
  std::vector<int64_t> result;
  for (const auto part : absl::StrSplit(text, 'x')) {
    int64_t dim = 0;
    if (absl::SimpleAtoi(part, &dim)) result.push_back(dim);
  }
  return result;
}

}  // namespace fxq
