// Bytes are 64-byte aligned, so that any kernel may read them in place.
#include "fxq/base/host_tensor.h"

#include <cstring>
#include <new>

#include "fmt/ranges.h"

namespace fxq {
namespace {

std::shared_ptr<std::byte> allocate(size_t size) {
  const size_t padded = size == 0 ? 1 : size;
  auto* bytes =
      static_cast<std::byte*>(::operator new (padded, std::align_val_t{kBufferAlignment}));
  std::memset(bytes, 0, padded);
  return {bytes, [](std::byte* p) { ::operator delete (p, std::align_val_t{kBufferAlignment}); }};
}

}  // namespace

HostTensor::HostTensor(DType dtype, std::vector<int64_t> dims)
    : dtype_(dtype), dims_(std::move(dims)) {
  std::shared_ptr<std::byte> storage = allocate(byte_size());
  bytes_ = storage.get();
  owner_ = std::move(storage);
}

HostTensor::HostTensor(DType dtype, std::vector<int64_t> dims, std::byte* bytes,
                       std::shared_ptr<const void> owner)
    : dtype_(dtype), dims_(std::move(dims)), bytes_(bytes), owner_(std::move(owner)) {}

int64_t HostTensor::numel() const {
  int64_t count = 1;
  for (int64_t dim : dims_) count *= dim;
  return count;
}

std::string HostTensor::describe() const {
  return fmt::format("{}[{}]", dtype_name(dtype_), fmt::join(dims_, ","));
}

}  // namespace fxq
