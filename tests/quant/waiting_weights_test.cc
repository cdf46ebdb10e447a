// Folded weights that nobody asks for are quantized from the float weights and the factors: the
// same integers and scales, for every kind of observer and for per-tensor scales.
#include <ATen/ops/equal.h>
#include <gtest/gtest.h>

#include "fxq/graph/op_module.h"
#include "fxq/quant/fuse_fx.h"
#include "fxq/quant/qconfig_json.h"
#include "nets.h"

namespace fxq {
namespace {

using quant_test::net;

constexpr const char* kConvBn = R"(module @c = conv2d(weight: f32[8,3,3,3], bias: none)
module @b = batch_norm(weight: f32[8], bias: f32[8], running_mean: f32[8], running_var: f32[8], momentum=0.1, eps=1e-05, cudnn_enabled=true)
state * = normal(7)
state @b.running_var = uniform(9, 0.5, 2.0)
graph (%x: f32[N,3,8,8]) {
  %conv = conv2d @c(%x)
  %bn = batch_norm @b(%conv)
  return %bn
}
)";

const OpModule* conv_of(const GraphModule& gm) {
  return dynamic_cast<const OpModule*>(gm.module("c").get());
}

void expect_same_integers(const GraphModule& a, const GraphModule& b) {
  const NamedTensors left = conv_of(a)->tensors(), right = conv_of(b)->tensors();
  ASSERT_EQ(left.size(), right.size());
  for (size_t i = 0; i < left.size(); ++i) {
    EXPECT_TRUE(at::equal(left[i].second, right[i].second)) << left[i].first;
  }
}

// convert_fx of weights that wait, and of weights that somebody has looked at.
void expect_same_either_way(const QConfigDict& qconfigs) {
  ConvertOptions options;
  options.allow_uncalibrated = true;
  auto waiting = prepare_calibration_fx(net(kConvBn), qconfigs);
  ASSERT_TRUE(waiting.ok()) << waiting.status().message();
  EXPECT_NE(conv_of(waiting->graph_module())->waiting_weight(), nullptr);
  const auto ahead = convert_fx(*waiting, options);
  ASSERT_TRUE(ahead.ok()) << ahead.status().message();
  auto settled = prepare_calibration_fx(net(kConvBn), qconfigs);
  EXPECT_FALSE(settled->graph_module().named_parameters().empty());  // looks at all of them
  EXPECT_EQ(conv_of(settled->graph_module())->waiting_weight(), nullptr);
  expect_same_integers(ahead->graph_module(), convert_fx(*settled, options)->graph_module());
}

QConfigDict qconfigs_of(const std::string& json) {
  auto parsed = qconfig_dict_from_json(json);
  EXPECT_TRUE(parsed.ok()) << parsed.status().message();
  return *std::move(parsed);
}

TEST(WaitingWeightsTest, MinMaxNeedsNoProduct) {
  expect_same_either_way(qconfigs_of(R"({"": {}})"));
}

TEST(WaitingWeightsTest, SixteenBits) {
  expect_same_either_way(qconfigs_of(R"({"": {"weight_dtype": "qint16"}})"));
}

TEST(WaitingWeightsTest, OneScaleForAll) {
  expect_same_either_way(qconfigs_of(
      R"({"": {"weight_qkwargs": {"observer": "min_max", "qscheme": "per_tensor_symmetric"}}})"));
}

TEST(WaitingWeightsTest, ObserversThatReadValuesHaveTheProduct) {
  expect_same_either_way(qconfigs_of(R"({"": {"weight_qkwargs": {"observer": "mse"}}})"));
}

TEST(WaitingWeightsTest, FuseLeavesTheProductToItsReader) {
  const auto fused = fuse_fx(net(kConvBn));
  ASSERT_TRUE(fused.ok()) << fused.status().message();
  EXPECT_NE(conv_of(*fused)->waiting_weight(), nullptr);
  ASSERT_TRUE(fused->forward(quant_test::random_inputs(*fused, 1)).ok());
  EXPECT_EQ(conv_of(*fused)->waiting_weight(), nullptr);
}

TEST(WaitingWeightsTest, AWriteIntoTheModelAfterFusingIsAnErrorOfTheRun) {
  const GraphModule model = net(kConvBn);
  const auto fused = fuse_fx(model);
  ASSERT_TRUE(fused.ok());
  conv_of(model)->tensor("weight").detach().mul_(2);
  const auto result = fused->forward(quant_test::random_inputs(*fused, 1));
  ASSERT_FALSE(result.ok());
  EXPECT_NE(result.status().message().find("fold again"), std::string::npos)
      << result.status().message();
}

}  // namespace
}  // namespace fxq
