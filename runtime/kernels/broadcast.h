// Broadcast: how two operands that may be broadcast meet an output, as loops over memory: outer
// rows, each with one inner run in which an operand either advances with the output, stands still,
// or strides. Neighbouring dims that behave alike are merged, so equal shapes are one run.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "fxq/runtime/kernel.h"

namespace fxq::kernels {

// The broadcast shape of two (ATen's rule); InvalidArgument if there is none.
absl::StatusOr<std::vector<int64_t>> broadcast_dims(absl::Span<const int64_t> a,
                                                    absl::Span<const int64_t> b);

struct BroadcastLoop {
  std::vector<int64_t> outer;                         // extents of the outer loops
  std::array<std::vector<int64_t>, 2> outer_strides;  // of the operands, in elements
  int64_t inner = 1;                                  // length of a run
  std::array<int64_t, 2> inner_strides = {1, 1};

  int64_t rows() const;
  // Element offsets of the operands at the start of a row.
  std::array<int64_t, 2> offsets(int64_t row) const;
};

BroadcastLoop broadcast_loop(const Desc& a, const Desc& b, const Desc& output);

}  // namespace fxq::kernels
