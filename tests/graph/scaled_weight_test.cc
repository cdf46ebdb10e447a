// A weight that waits to be multiplied out: what it gives, who shares it, what disturbs it.
#include "fxq/graph/scaled_weight.h"

#include <ATen/ops/equal.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <thread>

#include "fxq/graph/op_module.h"

namespace fxq {
namespace {

const at::Tensor& factors() {
  static const at::Tensor values = at::tensor({2.0, -0.3, 0.0, 1e-3}, at::kDouble);
  return values;
}

at::Tensor product(const at::Tensor& weight) {
  return (weight.to(at::kDouble) * factors().view({4, 1, 1, 1})).to(at::kFloat);
}

std::shared_ptr<OpModule> waiting_conv(const at::Tensor& weight) {
  NamedTensors tensors{{"weight", weight}, {"bias", at::Tensor()}};
  auto module = std::make_shared<OpModule>("torch.nn.modules.conv.Conv2d", OpId::kConv2d,
                                           std::move(tensors), NamedAttributes{});
  module->set_scaled_weight("weight", std::make_shared<const ScaledWeight>(weight, factors()));
  return module;
}

TEST(ScaledWeightTest, MultipliesOnceInDouble) {
  const at::Tensor weight = at::randn({4, 3, 5, 5});
  const ScaledWeight scaled(weight, factors());
  EXPECT_TRUE(at::equal(scaled.multiplied(), product(weight)));
  EXPECT_TRUE(scaled.multiplied().is_same(scaled.multiplied()));
}

TEST(ScaledWeightTest, RangesAreThoseOfTheProduct) {
  const at::Tensor weight = at::randn({4, 3, 5, 5});
  const ScaledWeight scaled(weight, factors());
  const FloatRows ahead = scaled.rows();
  const at::Tensor made = product(weight);
  const FloatRows rows = *FloatRows::of(made);
  for (size_t row = 0; row < rows.count(); ++row) {
    EXPECT_EQ(ahead.range(row).min, rows.range(row).min) << row;
    EXPECT_EQ(ahead.range(row).max, rows.range(row).max) << row;
  }
}

TEST(ScaledWeightTest, AProductThatPassesFloatIsNotFinite) {
  const at::Tensor weight = at::tensor({3e38F, 1.0F}).view({2, 1});
  const ScaledWeight scaled(weight, at::tensor({2.0, 2.0}, at::kDouble));
  EXPECT_FALSE(scaled.rows().range(0).is_finite);
  EXPECT_TRUE(scaled.rows().range(1).is_finite);
}

TEST(ScaledWeightTest, AModuleKnowsItsShapeBeforeItsValues) {
  const at::Tensor weight = at::randn({4, 3, 5, 5});
  const auto conv = waiting_conv(weight);
  EXPECT_TRUE(conv->has_tensor("weight"));
  EXPECT_EQ(conv->tensor_sizes("weight"), weight.sizes().vec());
  EXPECT_EQ(conv->known_tensors().size(), 1);
  EXPECT_NE(conv->waiting_weight(), nullptr);
  EXPECT_TRUE(at::equal(conv->tensor("weight"), product(weight)));
  EXPECT_EQ(conv->waiting_weight(), nullptr);
  EXPECT_EQ(conv->known_tensors().size(), 2);
}

TEST(ScaledWeightTest, ParametersOfTheBaseClassAreTheSameTensor) {
  const at::Tensor weight = at::randn({4, 3, 5, 5});
  const auto conv = waiting_conv(weight.clone().set_requires_grad(true));
  const at::Tensor parameter = conv->named_parameters()["weight"];
  EXPECT_TRUE(parameter.requires_grad());
  EXPECT_EQ(parameter.numel(), 0);
  EXPECT_TRUE(conv->tensors()[0].second.is_same(parameter));
  EXPECT_TRUE(at::equal(parameter, product(weight)));
}

TEST(ScaledWeightTest, CopiesShareOneProduct) {
  const auto conv = waiting_conv(at::randn({4, 3, 5, 5}));
  const auto copy = std::dynamic_pointer_cast<OpModule>(conv->clone_leaf());
  EXPECT_NE(copy->waiting_weight(), nullptr);
  const at::Tensor first = conv->tensor("weight");
  EXPECT_NE(copy->waiting_weight(), nullptr);
  EXPECT_EQ(copy->tensor("weight").data_ptr(), first.data_ptr());
}

TEST(ScaledWeightTest, SettingTheTensorEndsTheWait) {
  const auto conv = waiting_conv(at::randn({4, 3, 5, 5}));
  const at::Tensor other = at::randn({4, 3, 1, 1});
  conv->set_tensor("weight", other);
  EXPECT_EQ(conv->waiting_weight(), nullptr);
  EXPECT_TRUE(at::equal(conv->tensor("weight"), other));
}

TEST(ScaledWeightTest, WritingIntoTheSourceIsAnErrorNotAMixture) {
  at::Tensor weight = at::randn({4, 3, 5, 5});
  const auto conv = waiting_conv(weight);
  weight.mul_(2);
  EXPECT_THROW(conv->tensor("weight"), c10::Error);
}

TEST(ScaledWeightTest, ManyThreadsAskAtOnce) {
  const at::Tensor weight = at::randn({4, 64, 9, 9});
  const at::Tensor expected = product(weight);
  for (int round = 0; round < 20; ++round) {
    const auto conv = waiting_conv(weight);
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] { EXPECT_TRUE(at::equal(conv->tensor("weight"), expected)); });
    }
    for (std::thread& thread : threads) thread.join();
  }
}

}  // namespace
}  // namespace fxq
