// Bias correction: the mean error of every output channel goes away; the float model stays.
#include "fxq/quant/bias_correction.h"

#include <ATen/ops/equal.h>
#include <gtest/gtest.h>

#include "fxq/graph/op_module.h"
#include "fxq/quant/convert_fx.h"
#include "nets.h"

namespace fxq {
namespace {

using quant_test::kConvReluLinear;
using quant_test::net;
using quant_test::random;

TEST(BiasCorrectionTest, TakesTheMeanErrorBack) {
  const GraphModule gm = net(kConvReluLinear);
  const at::Tensor bias = gm.op_module(*gm.graph().find("fc"))->tensor("bias").clone();
  QConfigDict dict;
  dict.global = *get_default_calib_qconfig();
  // One coarse scale for all weights: their rounding moves means.
  dict.global->weight = *FakeQuantizeFactory().with_args(
      {{"observer", "MinMaxObserver"}, {"quant_min", -4}, {"quant_max", 3}});
  auto model = prepare_calibration_fx(gm, dict);
  ASSERT_TRUE(model.ok()) << model.status();
  std::vector<std::vector<c10::IValue>> batches;
  for (uint64_t seed = 1; seed < 9; ++seed) {
    batches.push_back({random({2, 3, 8, 8}, seed) + 1});
    ASSERT_TRUE(model->forward(batches.back()).ok());
  }
  auto mean_error = [&] {
    at::Tensor sum = at::zeros({10});
    EXPECT_TRUE(set_fake_quantize(*model, FakeQuantState::VALIDATION).ok());
    for (const auto& batch : batches) {
      sum += (model->forward(batch)->toTensor() - gm.forward(batch)->toTensor()).mean(0);
    }
    return (sum / static_cast<double>(batches.size())).abs().mean().item<double>();
  };
  const double before = mean_error();
  const auto corrected = correct_biases(*model, batches);
  ASSERT_TRUE(corrected.ok()) << corrected.status();
  EXPECT_EQ(*corrected, 2);
  EXPECT_LT(mean_error(), 0.5 * before);
  EXPECT_TRUE(at::equal(gm.op_module(*gm.graph().find("fc"))->tensor("bias"), bias));
  EXPECT_TRUE(convert_fx(*model).ok());
}

TEST(BiasCorrectionTest, WantsCalibration) {
  auto model = prepare_calibration_fx(net(kConvReluLinear));
  EXPECT_EQ(correct_biases(*model, {}).status().code(), absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace fxq
