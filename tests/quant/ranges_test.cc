// Qconfigs beyond the defaults: ranges of one's own, one scale per weight, in_place.
#include <ATen/ops/equal.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fxq/graph/op_module.h"
#include "fxq/quant/compare.h"
#include "fxq/quant/fake_quantize.h"
#include "fxq/quant/quant_op_module.h"
#include "nets.h"

namespace fxq {
namespace {

using quant_test::kConvReluLinear;
using quant_test::net;
using quant_test::quantize_net;
using quant_test::random;
using quant_test::Stages;
using quant_test::StagesOptions;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

QConfigDict with_activation(const QKwargs& kwargs) {
  QConfigDict dict;
  dict.global = *get_default_calib_qconfig("qint8", kwargs);
  return dict;
}

DType dtype_of(const ObservedGraphModule& model, const char* path) {
  return std::dynamic_pointer_cast<FakeQuantize>(model.graph_module().module(path))->dtype();
}

TEST(RangesTest, TheFullRangeWrittenOutIsTheDefault) {
  const auto observed = prepare_calibration_fx(
      net(kConvReluLinear), with_activation({{"quant_min", -128}, {"quant_max", 127}}));
  ASSERT_TRUE(observed.ok()) << observed.status();
  EXPECT_EQ(dtype_of(*observed, "relu_fq"), DType::kU8);
  ASSERT_TRUE(observed->forward({random({2, 3, 8, 8})}).ok());
  EXPECT_TRUE(convert_fx(*observed).ok());
}

TEST(RangesTest, ANarrowerActivationIsRefusedByConvert) {
  for (const QKwargs& kwargs :
       {QKwargs{{"quant_min", -64}, {"quant_max", 63}}, QKwargs{{"reduce_range", true}}}) {
    const auto observed = prepare_calibration_fx(net(kConvReluLinear), with_activation(kwargs));
    ASSERT_TRUE(observed.ok()) << observed.status();
    EXPECT_EQ(dtype_of(*observed, "relu_fq"), DType::kI8);
    EXPECT_THAT(observed->report.notes, Contains(HasSubstr("%relu: quant_min -64, quant_max 63")));
    ASSERT_TRUE(observed->forward({random({2, 3, 8, 8})}).ok());
    const absl::Status refused = convert_fx(*observed).status();
    EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(refused.message()), HasSubstr("relu_fq [-64, 63] of qint8"));
  }
}

TEST(RangesTest, ANarrowerWeightIsKept) {
  StagesOptions options;
  options.qconfigs.global = *get_default_calib_qconfig();
  options.qconfigs.global->weight =
      *options.qconfigs.global->weight->with_args({{"quant_min", -7}, {"quant_max", 7}});
  const Stages stages = quantize_net(kConvReluLinear, options);
  const OpModule& conv = *stages.quantized.op_module(*stages.quantized.graph().find("relu"));
  EXPECT_EQ(conv.tensor("weight").abs().max().item<int>(), 7);
}

constexpr const char* kTransposed = R"(
module @a = conv2d(weight: f32[8,3,3,3], bias: f32[8], stride=[1,1], padding=[1,1])
module @t = conv_transpose2d(weight: f32[8,2,2,2], bias: f32[4], stride=[2,2], groups=2)
state * = normal(1, 0.2)
graph (%x: f32[2,3,8,8]) {
  %a = conv2d @a(%x) : f32[2,8,8,8]
  %t = conv_transpose2d @t(%a) : f32[2,4,16,16]
  return %t
}
)";

StagesOptions per_tensor_weights() {
  StagesOptions options;
  options.qconfigs.global = *get_default_calib_qconfig();
  options.qconfigs.global->weight =
      *FakeQuantize::with_args({{"observer", "MovingAverageMinMaxObserver"}});
  return options;
}

TEST(RangesTest, OneScalePerWeightIfItsObserverKeepsOne) {
  const Stages stages = quantize_net(kTransposed, per_tensor_weights());
  for (const char* name : {"a", "t"}) {
    const OpModule& integers = *stages.quantized.op_module(*stages.quantized.graph().find(name));
    const OpModule& floats = *stages.observed.op_module(*stages.observed.graph().find(name));
    const float largest = floats.tensor("weight").abs().max().item<float>();
    EXPECT_EQ(integers.tensor("weight_scale").numel(), 1) << name;
    EXPECT_EQ(integers.tensor("weight_scale").item<float>(), largest / 127.5F) << name;
    EXPECT_EQ(integers.tensor("multiplier").numel(), floats.tensor("bias").numel()) << name;
  }
  auto reference = net(kTransposed).forward(stages.input);
  auto fake = stages.observed.forward(stages.input);
  auto integers = QuantizedGraph::from_graph_module(stages.quantized.copy())->forward(stages.input);
  ASSERT_TRUE(integers.ok()) << integers.status();
  EXPECT_GT(*sqnr_db(*reference, *integers), 30.0);
  EXPECT_GT(*sqnr_db(*fake, *integers), 40.0);
}

TEST(RangesTest, InPlaceOnlyWhereNobodyElseHoldsTheValue) {
  const char* text = R"(
module @a = conv2d(weight: f32[4,4,1,1], bias: none)
graph (%x: f32[2,4,8,8]) {
  %s = softmax(%x, 1) : f32[2,4,8,8]
  %a = conv2d @a(%s) : f32[2,4,8,8]
  %m = maximum(%s, %a) : f32[2,4,8,8]
  %b = conv2d @a(%m) : f32[2,4,8,8]
  return %b
}
)";
  const auto observed = prepare_calibration_fx(net(text), with_activation({{"in_place", true}}));
  ASSERT_TRUE(observed.ok()) << observed.status();
  const auto in_place = [&](const char* path) {
    return std::dynamic_pointer_cast<FakeQuantize>(observed->graph_module().module(path))
        ->options()
        .in_place;
  };
  EXPECT_FALSE(in_place("s_fq"));
  EXPECT_FALSE(in_place("m_fq"));
  EXPECT_TRUE(in_place("a_fq"));
  EXPECT_THAT(observed->report.notes,
              Contains("in_place is ignored at %s: %m reads the float value too"));
  EXPECT_THAT(observed->report.notes, Not(Contains(HasSubstr("at %a"))));
}

TEST(RangesTest, InPlaceGivesTheSameValues) {
  for (bool in_place : {false, true}) {
    const auto observed =
        prepare_calibration_fx(net(kConvReluLinear), with_activation({{"in_place", in_place}}));
    const at::Tensor x = random({2, 3, 8, 8});
    const at::Tensor before = x.clone();
    ASSERT_TRUE(observed->forward({x}).ok());
    EXPECT_TRUE(at::equal(x, before)) << "the caller's tensor";
  }
}

}  // namespace
}  // namespace fxq
