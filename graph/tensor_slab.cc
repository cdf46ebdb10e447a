// empty: block [ used | tensor | room ] of 32 MB; small and huge tensors have memory of their own
#include "fxq/graph/tensor_slab.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <sys/mman.h>

#include <cstdint>

namespace fxq {
namespace {

constexpr size_t kBlock = size_t{32} << 20;
constexpr size_t kHugePage = size_t{2} << 20;
constexpr size_t kSmall = size_t{16} << 10;
constexpr size_t kAlignment = 64;

}  // namespace

struct TensorSlab::Block {
  // Null if there is no memory.
  static std::shared_ptr<Block> create() {
    void* mapped = mmap(nullptr, kBlock + kHugePage, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return mapped == MAP_FAILED ? nullptr : std::shared_ptr<Block>(new Block(mapped));
  }
  ~Block() { munmap(mapped, kBlock + kHugePage); }
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;

  void* mapped;
  uint8_t* begin;
  size_t used = 0;

 private:
  explicit Block(void* memory) : mapped(memory) {
    const size_t past = reinterpret_cast<uintptr_t>(memory) % kHugePage;
    begin = static_cast<uint8_t*>(memory) + (past == 0 ? 0 : kHugePage - past);
    madvise(begin, kBlock, MADV_HUGEPAGE);
  }
};

std::shared_ptr<TensorSlab::Block> TensorSlab::block_with_room(size_t bytes) {
  std::shared_ptr<Block> block = current_.lock();
  if (block && block->used + bytes <= kBlock) return block;
  block = Block::create();
  if (block) current_ = block;
  return block;
}

at::Tensor TensorSlab::empty(at::IntArrayRef sizes, at::ScalarType dtype) {
  const auto options = at::TensorOptions(dtype);
  size_t bytes = c10::elementSize(dtype);
  for (const int64_t size : sizes) bytes *= static_cast<size_t>(size);
  if (bytes < kSmall || bytes > kBlock) return at::empty(sizes, options);
  const std::lock_guard<std::mutex> lock(mutex_);
  const std::shared_ptr<Block> block = block_with_room(bytes);
  if (!block) return at::empty(sizes, options);
  uint8_t* data = block->begin + block->used;
  block->used += (bytes + kAlignment - 1) / kAlignment * kAlignment;
  return at::from_blob(
      data, sizes, [block](void*) {}, options);
}

}  // namespace fxq
