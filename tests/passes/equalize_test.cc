// Cross-layer equalization: the same function, balanced weights; what has to stay stays.
#include "fxq/passes/equalize.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include "fxq/graph/op_module.h"
#include "fxq/graph/text.h"

namespace fxq {
namespace {

GraphModule net(const std::string& activation, const std::string& last = "%c") {
  auto gm = parse_text(R"(
module @a = conv2d(weight: f32[6,3,3,3], bias: f32[6], padding=[1,1])
module @b = conv2d(weight: f32[6,1,3,3], bias: none, padding=[1,1], groups=6)
module @c = conv2d(weight: f32[4,3,1,1], bias: f32[4], groups=2)
state * = normal(3)
graph (%x: f32[2,3,8,8]) {
  %a = conv2d @a(%x) : f32[2,6,8,8]
  %r = )" + activation +
                       R"((%a) : f32[2,6,8,8]
  %b = conv2d @b(%r) : f32[2,6,8,8]
  %c = conv2d @c(%b) : f32[2,4,8,8]
  return )" + last + "\n}\n");
  EXPECT_TRUE(gm.ok()) << gm.status();
  return *std::move(gm);
}

at::Tensor weight(const GraphModule& gm, const std::string& path) {
  return std::dynamic_pointer_cast<OpModule>(gm.module(path))->tensor("weight").detach();
}

at::Tensor input() {
  auto generator = at::make_generator<at::CPUGeneratorImpl>(5);
  return at::randn({2, 3, 8, 8}, generator);
}

TEST(EqualizeTest, BalancesWithoutChangingTheFunction) {
  GraphModule gm = net("relu");
  auto first = std::dynamic_pointer_cast<OpModule>(gm.module("a"));
  at::Tensor skewed = weight(gm, "a").clone();
  skewed[1] *= 100;
  first->set_tensor("weight", skewed.set_requires_grad(true));
  const GraphModule before = gm.copy(GraphModule::Copy::kCloneAll);
  const auto changed = equalize(gm);
  ASSERT_TRUE(changed.ok()) << changed.status();
  EXPECT_TRUE(*changed);
  EXPECT_TRUE(gm.forward({input()})->toTensor().allclose(before.forward({input()})->toTensor(),
                                                         1e-4, 1e-3));
  const at::Tensor a = weight(gm, "a").abs().amax({1, 2, 3});
  const at::Tensor b = weight(gm, "b").abs().amax({1, 2, 3});
  const at::Tensor c = weight(gm, "c").view({2, 2, 3}).abs().amax({1}).flatten();
  EXPECT_TRUE(a.allclose(b, 1e-2)) << a << b;
  EXPECT_TRUE(b.allclose(c, 1e-2)) << b << c;
  EXPECT_FALSE(*equalize(gm)) << "balanced already";
  EXPECT_TRUE(at::equal(weight(before, "a"), skewed)) << "tensors are replaced, not written";
  EXPECT_EQ(gm.parameters().size(), before.parameters().size());
}

// MTCNN's nets have prelu and pools between their layers: nothing of them was balanced.
TEST(EqualizeTest, SeesThroughPreluAndPools) {
  auto gm = parse_text(R"(
module @a = conv2d(weight: f32[6,3,3,3], bias: f32[6], padding=[1,1])
module @p = prelu(weight: f32[6])
module @b = conv2d(weight: f32[4,6,3,3], bias: f32[4])
state * = normal(3)
graph (%x: f32[2,3,8,8]) {
  %a = conv2d @a(%x) : f32[2,6,8,8]
  %p = prelu @p(%a) : f32[2,6,8,8]
  %m = max_pool2d(%p, [2,2]) : f32[2,6,4,4]
  %b = conv2d @b(%m) : f32[2,4,2,2]
  return %b
}
)");
  ASSERT_TRUE(gm.ok()) << gm.status();
  const GraphModule before = gm->copy(GraphModule::Copy::kCloneAll);
  EXPECT_TRUE(*equalize(*gm));
  EXPECT_TRUE(gm->forward({input()})->toTensor().allclose(before.forward({input()})->toTensor(),
                                                          1e-4, 1e-3));
  const at::Tensor a = weight(*gm, "a").abs().amax({1, 2, 3});
  EXPECT_TRUE(a.allclose(weight(*gm, "b").abs().amax({0, 2, 3}), 1e-2));
}

// A pool of two axes behind a linear takes its maximum over features: the function changed.
TEST(EqualizeTest, APoolThatMixesChannelsIsNoWayThrough) {
  auto gm = parse_text(R"(
module @a = linear(weight: f32[8,8], bias: f32[8])
module @b = linear(weight: f32[4,8], bias: f32[4])
state * = normal(3)
graph (%x: f32[2,3,5,8]) {
  %a = linear @a(%x) : f32[2,3,5,8]
  %m = max_pool2d(%a, [3,3], [1,1], [1,1]) : f32[2,3,5,8]
  %b = linear @b(%m) : f32[2,3,5,4]
  return %b
}
)");
  ASSERT_TRUE(gm.ok()) << gm.status();
  EXPECT_FALSE(*equalize(*gm));
}

TEST(EqualizeTest, StaysOutOfWhatIsNotItsOwn) {
  GraphModule bounded = net("relu6");
  const at::Tensor a = weight(bounded, "a");
  ASSERT_TRUE(equalize(bounded).ok());
  EXPECT_TRUE(at::equal(weight(bounded, "a"), a)) << "relu6(x / s) is not relu6(x) / s";
  GraphModule read = net("relu", "(%c, %b, %r)");
  EXPECT_FALSE(*equalize(read)) << "others read the values in between";
}

}  // namespace
}  // namespace fxq
