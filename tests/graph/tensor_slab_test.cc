// Tensors of a slab are like others: apart, writable, and alive on their own.
#include "fxq/graph/tensor_slab.h"

#include <ATen/ops/full.h>
#include <gtest/gtest.h>

namespace fxq {
namespace {

TEST(TensorSlabTest, TensorsAreApart) {
  TensorSlab slab;
  std::vector<at::Tensor> tensors;
  // small, of a block, more than what is left of it, more than a block
  for (const int64_t size : {10, 1 << 20, (1 << 20) + 7, 7 << 20, 9 << 20, 1 << 20}) {
    tensors.push_back(slab.empty({size}, at::kFloat));
    tensors.back().fill_(static_cast<double>(tensors.size()));
  }
  for (size_t i = 0; i < tensors.size(); ++i) {
    EXPECT_TRUE((tensors[i] == static_cast<double>(i + 1)).all().item<bool>()) << i;
    EXPECT_TRUE(tensors[i].is_contiguous());
    EXPECT_EQ(reinterpret_cast<uintptr_t>(tensors[i].data_ptr()) % 64, 0U);
  }
}

TEST(TensorSlabTest, ATensorOutlivesSlabAndNeighbours) {
  at::Tensor kept;
  {
    TensorSlab slab;
    const at::Tensor first = slab.empty({4, 1 << 16}, at::kChar);
    first.fill_(1);
    kept = slab.empty({4, 1 << 16}, at::kChar);
    kept.fill_(2);
  }
  EXPECT_EQ(kept.sum().item<int64_t>(), int64_t{2} * 4 * (1 << 16));
  EXPECT_EQ(kept.storage().nbytes(), size_t{4} << 16);
}

}  // namespace
}  // namespace fxq
