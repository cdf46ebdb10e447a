// Where buffers that live for a while share one arena. Pure function: greedy by size, each buffer
// in the tightest gap among those that live at the same time; 64-byte aligned.
#pragma once

#include <cstddef>
#include <vector>

#include "absl/types/span.h"

namespace fxq {

struct BufferLife {
  size_t bytes = 0;
  int first = 0;  // first and last moment at which the buffer is in use, both inclusive
  int last = 0;
};

struct MemoryPlan {
  std::vector<size_t> offsets;  // of each buffer
  size_t arena_bytes = 0;
  size_t unshared_bytes = 0;  // without any reuse
};

MemoryPlan plan_memory(absl::Span<const BufferLife> buffers);

}  // namespace fxq
