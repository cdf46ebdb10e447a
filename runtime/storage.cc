// Channels-last is a transposition of the matrix [channels, spatial] of each image.
#include "fxq/runtime/storage.h"

#include <algorithm>
#include <cstring>

namespace fxq {
namespace {

// from[row][column] -> to[column][row] ^ flip, in blocks that stay in the first cache level.
template <typename T>
void transpose(const T* from, T* to, int64_t rows, int64_t columns, T flip) {
  constexpr int64_t kBlock = 32;
  for (int64_t r0 = 0; r0 < rows; r0 += kBlock) {
    const int64_t r1 = std::min(r0 + kBlock, rows);
    for (int64_t c0 = 0; c0 < columns; c0 += kBlock) {
      const int64_t c1 = std::min(c0 + kBlock, columns);
      for (int64_t c = c0; c < c1; ++c) {
        for (int64_t r = r0; r < r1; ++r) to[c * rows + r] = from[r * columns + c] ^ flip;
      }
    }
  }
}

template <typename T>
void convert(const std::byte* from, std::byte* to, absl::Span<const int64_t> dims, T flip,
             bool to_storage) {
  const int64_t channels = dims[1];
  const int64_t spatial = numel(dims.subspan(2));
  const auto* source = reinterpret_cast<const T*>(from);
  auto* target = reinterpret_cast<T*>(to);
  for (int64_t image = 0; image < dims[0]; ++image) {
    const int64_t offset = image * channels * spatial;
    transpose(source + offset, target + offset, to_storage ? channels : spatial,
              to_storage ? spatial : channels, flip);
  }
}

void convert(DType dtype, absl::Span<const int64_t> dims, const std::byte* from, std::byte* to,
             bool to_storage) {
  const size_t bytes = stored_bytes(dtype, dims);
  // value + 128 of an i8 is its byte with the top bit flipped.
  const uint8_t flip = dtype == DType::kI8 ? 0x80 : 0;
  if (stored_channels_last(dtype, dims.size())) {
    if (dtype == DType::kI16) return convert<uint16_t>(from, to, dims, 0, to_storage);
    return convert<uint8_t>(from, to, dims, flip, to_storage);
  }
  if (flip == 0) {
    if (bytes != 0) std::memcpy(to, from, bytes);
    return;
  }
  for (size_t i = 0; i < bytes; ++i) to[i] = from[i] ^ std::byte{flip};
}

}  // namespace

int64_t numel(absl::Span<const int64_t> dims) {
  int64_t count = 1;
  for (int64_t dim : dims) count *= dim;
  return count;
}

size_t stored_bytes(DType dtype, absl::Span<const int64_t> dims) {
  return static_cast<size_t>(numel(dims)) * dtype_size(dtype);
}

std::vector<int64_t> stored_dims(DType dtype, absl::Span<const int64_t> dims) {
  std::vector<int64_t> result(dims.begin(), dims.end());
  if (stored_channels_last(dtype, dims.size())) {
    std::rotate(result.begin() + 1, result.begin() + 2, result.end());
  }
  return result;
}

std::vector<int64_t> stored_strides(DType dtype, absl::Span<const int64_t> dims) {
  const std::vector<int64_t> memory = stored_dims(dtype, dims);
  std::vector<int64_t> strides(dims.size());
  int64_t stride = 1;
  for (size_t i = memory.size(); i-- > 0;) {
    strides[i] = stride;
    stride *= memory[i];
  }
  if (stored_channels_last(dtype, dims.size())) {
    std::rotate(strides.begin() + 1, strides.end() - 1, strides.end());
  }
  return strides;
}

void plain_to_stored(DType dtype, absl::Span<const int64_t> dims, const std::byte* plain,
                     std::byte* stored) {
  convert(dtype, dims, plain, stored, true);
}

void stored_to_plain(DType dtype, absl::Span<const int64_t> dims, const std::byte* stored,
                     std::byte* plain) {
  convert(dtype, dims, stored, plain, false);
}

}  // namespace fxq
