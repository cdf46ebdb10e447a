// Large buffers first: they leave gaps that small ones fill, not the other way round.
#include "fxq/runtime/memory_plan.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "fxq/base/host_tensor.h"

namespace fxq {
namespace {

size_t aligned(size_t bytes) {
  return (bytes + kBufferAlignment - 1) / kBufferAlignment * kBufferAlignment;
}

bool overlap(const BufferLife& a, const BufferLife& b) {
  return a.first <= b.last && b.first <= a.last;
}

// `placed` is sorted by offset. The start of the smallest gap that holds `bytes`, else the end.
size_t best_gap(const std::vector<size_t>& placed, const MemoryPlan& plan,
                absl::Span<const BufferLife> buffers, const BufferLife& wanted) {
  size_t best = 0;
  size_t best_size = std::numeric_limits<size_t>::max();
  size_t end = 0;
  for (size_t other : placed) {
    if (!overlap(buffers[other], wanted)) continue;
    const size_t start = plan.offsets[other];
    if (start > end && start - end >= wanted.bytes && start - end < best_size) {
      best = end;
      best_size = start - end;
    }
    end = std::max(end, start + aligned(buffers[other].bytes));
  }
  return best_size == std::numeric_limits<size_t>::max() ? end : best;
}

}  // namespace

MemoryPlan plan_memory(absl::Span<const BufferLife> buffers) {
  MemoryPlan plan;
  plan.offsets.assign(buffers.size(), 0);
  std::vector<size_t> order(buffers.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return buffers[a].bytes > buffers[b].bytes; });
  std::vector<size_t> placed;
  for (size_t buffer : order) {
    if (buffers[buffer].bytes == 0) continue;
    const size_t offset = best_gap(placed, plan, buffers, buffers[buffer]);
    plan.offsets[buffer] = offset;
    const auto place = std::upper_bound(placed.begin(), placed.end(), offset,
                                        [&](size_t at, size_t b) { return at < plan.offsets[b]; });
    placed.insert(place, buffer);
    plan.arena_bytes = std::max(plan.arena_bytes, offset + aligned(buffers[buffer].bytes));
    plan.unshared_bytes += aligned(buffers[buffer].bytes);
  }
  return plan;
}

}  // namespace fxq
