// HostTensor: a dense, row-major tensor in ordinary memory, with no LibTorch behind it. Programs,
// data files and artifacts exchange these. Copying one shares the bytes; the bytes of a shared
// tensor are never written.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "fxq/base/dtype.h"

namespace fxq {

// Bytes; of tensors and of the executor's buffers: a line of the cache, a vector of AVX-512.
constexpr size_t kBufferAlignment = 64;

class HostTensor {
 public:
  HostTensor() = default;
  // Zero-filled. `dims` must be non-negative and their product must fit in memory.
  HostTensor(DType dtype, std::vector<int64_t> dims);
  // Borrows `bytes`, which `owner` keeps alive (a mapped file, another tensor's storage).
  HostTensor(DType dtype, std::vector<int64_t> dims, std::byte* bytes,
             std::shared_ptr<const void> owner);

  DType dtype() const { return dtype_; }
  const std::vector<int64_t>& dims() const { return dims_; }
  int64_t numel() const;
  size_t byte_size() const { return static_cast<size_t>(numel()) * dtype_size(dtype_); }

  const std::byte* bytes() const { return bytes_; }
  std::byte* mutable_bytes() { return bytes_; }

  template <typename T>
  absl::Span<const T> data() const {
    return absl::Span<const T>(reinterpret_cast<const T*>(bytes_), static_cast<size_t>(numel()));
  }
  template <typename T>
  absl::Span<T> mutable_data() {
    return {reinterpret_cast<T*>(bytes_), static_cast<size_t>(numel())};
  }

  // "f32[1,3,224,224]"
  std::string describe() const;

 private:
  DType dtype_ = DType::kF32;
  std::vector<int64_t> dims_{0};
  std::byte* bytes_ = nullptr;
  std::shared_ptr<const void> owner_;
};

}  // namespace fxq
