// StridedMove: elements of a source copied to other places unchanged: the one loop behind permute,
// slice, split, pad, cat and those reshapes that change the order of memory. Dims are in the order
// of the target's memory; neighbouring dims that advance alike are merged; the innermost run is a
// memcpy when both sides are dense.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/types/span.h"
#include "fxq/base/dtype.h"
#include "fxq/runtime/kernel.h"

namespace fxq::kernels {

struct StridedMove {
  size_t element_size = 1;
  std::vector<int64_t> extents;       // outermost first; the last one is the run
  std::vector<int64_t> from_strides;  // in elements
  std::vector<int64_t> to_strides;
  int64_t from_offset = 0;
  int64_t to_offset = 0;

  int64_t rows() const;  // product of all extents but the last
  int64_t run() const { return extents.back(); }
  int64_t elements() const { return rows() * run(); }
  void copy_rows(int64_t begin, int64_t end, const std::byte* from, std::byte* to) const;

  struct Offsets {
    int64_t from = 0;
    int64_t to = 0;
  };
  Offsets offsets(int64_t row) const;
};

// Copies a box of logical `extents`; strides and offsets are of storage, in elements, per logical
// dim. The loops follow the target's memory.
StridedMove strided_move(DType dtype, absl::Span<const int64_t> extents,
                         absl::Span<const int64_t> from_strides,
                         absl::Span<const int64_t> to_strides);

// A step that makes output `output` of input `input` by one move.
std::unique_ptr<BoundStep> move_step(StridedMove move, int input, int output, int threads);

}  // namespace fxq::kernels
