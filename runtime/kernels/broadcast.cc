// [8,1,5] + [1,4,5] -> rows: 8 x 4, runs of 5; [8,4,5] + [8,4,5] -> one run of 160.
#include "fxq/runtime/kernels/broadcast.h"

#include <algorithm>

#include "fmt/format.h"
#include "fmt/ranges.h"
#include "fxq/runtime/storage.h"

namespace fxq::kernels {
namespace {

// Strides of an operand along the output's logical dims; 0 where it is broadcast.
std::vector<int64_t> operand_strides(const Desc& operand, size_t rank) {
  const std::vector<int64_t> own = stored_strides(operand.dtype, operand.dims);
  std::vector<int64_t> strides(rank, 0);
  const size_t missing = rank - operand.dims.size();
  for (size_t i = 0; i < own.size(); ++i) strides[missing + i] = operand.dims[i] == 1 ? 0 : own[i];
  return strides;
}

// Logical order -> order of the output's memory, outermost first.
std::vector<int64_t> in_memory_order(std::vector<int64_t> values, const Desc& output) {
  if (stored_channels_last(output.dtype, output.dims.size())) {
    std::rotate(values.begin() + 1, values.begin() + 2, values.end());
  }
  return values;
}

}  // namespace

absl::StatusOr<std::vector<int64_t>> broadcast_dims(absl::Span<const int64_t> a,
                                                    absl::Span<const int64_t> b) {
  std::vector<int64_t> result(std::max(a.size(), b.size()), 1);
  for (size_t i = 0; i < result.size(); ++i) {
    const int64_t x = i < a.size() ? a[a.size() - 1 - i] : 1;
    const int64_t y = i < b.size() ? b[b.size() - 1 - i] : 1;
    if (x != y && x != 1 && y != 1) {
      return absl::InvalidArgumentError(fmt::format("shapes [{}] and [{}] do not fit together",
                                                    fmt::join(a, ","), fmt::join(b, ",")));
    }
    result[result.size() - 1 - i] = x == 1 ? y : x;
  }
  return result;
}

int64_t BroadcastLoop::rows() const {
  int64_t count = 1;
  for (int64_t extent : outer) count *= extent;
  return count;
}

std::array<int64_t, 2> BroadcastLoop::offsets(int64_t row) const {
  if (outer.size() == 1) return {row * outer_strides[0][0], row * outer_strides[1][0]};
  std::array<int64_t, 2> result = {0, 0};
  for (size_t i = outer.size(); i-- > 0;) {
    const int64_t index = row % outer[i];
    row /= outer[i];
    result[0] += index * outer_strides[0][i];
    result[1] += index * outer_strides[1][i];
  }
  return result;
}

BroadcastLoop broadcast_loop(const Desc& a, const Desc& b, const Desc& output) {
  const size_t rank = output.dims.size();
  const std::vector<int64_t> extents = stored_dims(output.dtype, output.dims);
  const std::array<std::vector<int64_t>, 2> strides = {
      in_memory_order(operand_strides(a, rank), output),
      in_memory_order(operand_strides(b, rank), output)};
  BroadcastLoop loop;
  for (size_t i = 0; i < rank; ++i) {
    if (extents[i] == 1) continue;
    const bool merges = !loop.outer.empty() &&
                        loop.outer_strides[0].back() == strides[0][i] * extents[i] &&
                        loop.outer_strides[1].back() == strides[1][i] * extents[i];
    if (merges) {
      loop.outer.back() *= extents[i];
    } else {
      loop.outer.push_back(extents[i]);
      loop.outer_strides[0].emplace_back();
      loop.outer_strides[1].emplace_back();
    }
    loop.outer_strides[0].back() = strides[0][i];
    loop.outer_strides[1].back() = strides[1][i];
  }
  if (loop.outer.empty()) return loop;
  loop.inner = loop.outer.back();
  loop.outer.pop_back();
  for (int operand : {0, 1}) {
    loop.inner_strides[operand] = loop.outer_strides[operand].back();
    loop.outer_strides[operand].pop_back();
  }
  return loop;
}

}  // namespace fxq::kernels
