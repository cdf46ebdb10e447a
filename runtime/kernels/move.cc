// for each row: to[to_offset + ...] = from[from_offset + ...], run by run.
#include "fxq/runtime/kernels/move.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "fxq/runtime/kernels/range_step.h"

namespace fxq::kernels {
namespace {

template <typename T>
void copy_run(const std::byte* from, int64_t from_stride, std::byte* to, int64_t to_stride,
              int64_t count) {
  const T* source = reinterpret_cast<const T*>(from);
  T* target = reinterpret_cast<T*>(to);
  if (to_stride == 1) {
    for (int64_t i = 0; i < count; ++i) target[i] = source[i * from_stride];
  } else {
    for (int64_t i = 0; i < count; ++i) target[i * to_stride] = source[i * from_stride];
  }
}

using CopyRun = void (*)(const std::byte*, int64_t, std::byte*, int64_t, int64_t);

CopyRun copy_run_of(size_t element_size) {
  switch (element_size) {
    case 1:
      return copy_run<uint8_t>;
    case 2:
      return copy_run<uint16_t>;
    case 4:
      return copy_run<uint32_t>;
    default:
      return copy_run<uint64_t>;
  }
}

}  // namespace

int64_t StridedMove::rows() const {
  return std::accumulate(extents.begin(), extents.end() - 1, int64_t{1}, std::multiplies<>());
}

StridedMove::Offsets StridedMove::offsets(int64_t row) const {
  Offsets result{from_offset, to_offset};
  for (size_t i = extents.size() - 1; i-- > 0;) {
    const int64_t index = row % extents[i];
    row /= extents[i];
    result.from += index * from_strides[i];
    result.to += index * to_strides[i];
  }
  return result;
}

void StridedMove::copy_rows(int64_t begin, int64_t end, const std::byte* from,
                            std::byte* to) const {
  const auto size = static_cast<int64_t>(element_size);
  const bool dense = from_strides.back() == 1 && to_strides.back() == 1;
  const CopyRun copy = copy_run_of(element_size);
  for (int64_t row = begin; row < end; ++row) {
    const Offsets at = offsets(row);
    const std::byte* source = from + at.from * size;
    std::byte* target = to + at.to * size;
    if (dense) {
      std::memcpy(target, source, static_cast<size_t>(run() * size));
    } else {
      copy(source, from_strides.back(), target, to_strides.back(), run());
    }
  }
}

StridedMove strided_move(DType dtype, absl::Span<const int64_t> extents,
                         absl::Span<const int64_t> from_strides,
                         absl::Span<const int64_t> to_strides) {
  std::vector<size_t> order(extents.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return to_strides[a] > to_strides[b]; });
  StridedMove move;
  move.element_size = dtype_size(dtype);
  for (size_t dim : order) {
    const int64_t extent = extents[dim];
    if (extent == 1) continue;
    const bool merges = !move.extents.empty() &&
                        move.from_strides.back() == from_strides[dim] * extent &&
                        move.to_strides.back() == to_strides[dim] * extent;
    if (merges) {
      move.extents.back() *= extent;
      move.from_strides.back() = from_strides[dim];
      move.to_strides.back() = to_strides[dim];
    } else {
      move.extents.push_back(extent);
      move.from_strides.push_back(from_strides[dim]);
      move.to_strides.push_back(to_strides[dim]);
    }
  }
  if (move.extents.empty()) {
    move.extents = {1};
    move.from_strides = {1};
    move.to_strides = {1};
  }
  return move;
}

std::unique_ptr<BoundStep> move_step(StridedMove move, int input, int output, int threads) {
  // One long run is cut into shorter ones, so that workers can share it.
  if (move.extents.size() == 1 && move.run() > kGrainBytes) {
    const int64_t run = move.run();
    int64_t piece = kGrainBytes;
    while (run % piece != 0) --piece;
    if (piece >= kGrainBytes / 16) {
      move.extents = {run / piece, piece};
      move.from_strides = {move.from_strides[0] * piece, move.from_strides[0]};
      move.to_strides = {move.to_strides[0] * piece, move.to_strides[0]};
    }
  }
  const int64_t row_bytes = 2 * move.run() * static_cast<int64_t>(move.element_size);
  const int64_t rows = move.rows();
  return range_step(rows, row_bytes, threads, "own",
                    [move = std::move(move), input, output](int64_t begin, int64_t end,
                                                            const StepBuffers& buffers) {
                      move.copy_rows(begin, end, buffers.inputs[input], buffers.outputs[output]);
                    });
}

}  // namespace fxq::kernels
