// Memory for many tensors that are written soon and die together, such as the weights of a model.
// They are cut out of common blocks of huge pages: to touch 100 MB for the first time costs a
// fourth of what it costs in small pages (bench/README.md). A block lives as long as any tensor
// that was cut out of it.
#pragma once

#include <ATen/core/TensorBody.h>

#include <memory>
#include <mutex>

namespace fxq {

class TensorSlab {
 public:
  // Dense, in host memory, not initialised. Safe to call from several threads.
  at::Tensor empty(at::IntArrayRef sizes, at::ScalarType dtype);

 private:
  struct Block;
  std::shared_ptr<Block> block_with_room(size_t bytes);

  std::mutex mutex_;
  std::weak_ptr<Block> current_;
};

}  // namespace fxq
