// How a tensor's bytes lie in a buffer of the executor; the one rule that all kernels share:
//   * i8 (qint8 activation) is stored as u8 with value + 128; every other type as itself;
//   * 8- and 16-bit integer tensors of rank 3, 4, 5 are dense channels-last (NLC, NHWC, NDHWC);
//   * all else is dense row-major.
// Dims are always logical (N, C, spatial...). Constants and the caller's tensors are plain:
// row-major, i8 as i8; only `quantize` and the executor's edges cross between the two.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "fxq/base/dtype.h"
#include "fxq/base/host_tensor.h"

namespace fxq {

inline int storage_shift(DType dtype) { return dtype == DType::kI8 ? 128 : 0; }

inline bool stored_channels_last(DType dtype, size_t rank) {
  const bool narrow = dtype == DType::kI8 || dtype == DType::kU8 || dtype == DType::kI16;
  return narrow && rank >= 3 && rank <= 5;
}

// Row-major and without shift: storage and plain bytes are the same.
inline bool stored_plainly(DType dtype, size_t rank) {
  return storage_shift(dtype) == 0 && !stored_channels_last(dtype, rank);
}

int64_t numel(absl::Span<const int64_t> dims);
size_t stored_bytes(DType dtype, absl::Span<const int64_t> dims);

// Dims in the order of memory, outermost first: [N, H, W, C] for a channels-last [N, C, H, W].
std::vector<int64_t> stored_dims(DType dtype, absl::Span<const int64_t> dims);
// Elements between neighbours along each logical dim.
std::vector<int64_t> stored_strides(DType dtype, absl::Span<const int64_t> dims);

// Between plain row-major bytes and storage, both of `dims` and `dtype`.
void plain_to_stored(DType dtype, absl::Span<const int64_t> dims, const std::byte* plain,
                     std::byte* stored);
void stored_to_plain(DType dtype, absl::Span<const int64_t> dims, const std::byte* stored,
                     std::byte* plain);

}  // namespace fxq
