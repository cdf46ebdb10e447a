// x = noise + 1.5 on the quarter that y names
#include "tiny_task.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include "fxq/graph/text.h"

namespace fxq::train_test {

GraphModule tiny_net() {
  auto gm = parse_text(R"(
module @a = conv2d(weight: f32[8,3,3,3], bias: none, padding=[1,1])
module @abn = batch_norm(weight: f32[8], bias: f32[8], running_mean: f32[8], running_var: f32[8], num_batches_tracked: i64[], momentum=0.1, eps=1e-05, cudnn_enabled=true)
module @b = conv2d(weight: f32[8,1,3,3], bias: none, padding=[1,1], stride=[2,2], groups=8)
module @bbn = batch_norm(weight: f32[8], bias: f32[8], running_mean: f32[8], running_var: f32[8], num_batches_tracked: i64[], momentum=0.1, eps=1e-05, cudnn_enabled=true)
module @fc = linear(weight: f32[4,128], bias: f32[4])
state @a.weight = normal(1, 0.3)
state @abn.weight = ones
state @abn.running_var = ones
state @b.weight = normal(6, 0.3)
state @bbn.weight = ones
state @bbn.running_var = ones
state @fc.weight = normal(12, 0.1)
graph (%x: f32[16,3,8,8]) {
  %a = conv2d @a(%x) : f32[16,8,8,8]
  %abn = batch_norm @abn(%a) : f32[16,8,8,8]
  %r = relu(%abn) : f32[16,8,8,8]
  %b = conv2d @b(%r) : f32[16,8,4,4]
  %bbn = batch_norm @bbn(%b) : f32[16,8,4,4]
  %t = relu(%bbn) : f32[16,8,4,4]
  %f = flatten(%t, 1) : f32[16,128]
  %fc = linear @fc(%f) : f32[16,4]
  return %fc
}
)");
  EXPECT_TRUE(gm.ok()) << gm.status();
  gm->train();
  return *std::move(gm);
}

std::unique_ptr<BatchSource> tiny_data(int64_t samples, uint64_t seed) {
  auto generator = at::make_generator<at::CPUGeneratorImpl>(seed);
  const at::Tensor y = at::randint(0, 4, {samples}, generator, at::kLong);
  at::Tensor x = at::randn({samples, 3, 8, 8}, generator);
  for (int64_t i = 0; i < samples; ++i) {
    const auto quarter = y[i].item<int64_t>();
    const int64_t row = quarter / 2 * 4, column = quarter % 2 * 4;
    x[i].slice(1, row, row + 4).slice(2, column, column + 4).add_(0.8);
  }
  auto source = tensor_source({x}, y);
  EXPECT_TRUE(source.ok()) << source.status();
  return *std::move(source);
}

}  // namespace fxq::train_test
