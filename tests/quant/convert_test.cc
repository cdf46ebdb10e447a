// convert_fx on small nets: the integer graph follows the fake-quant graph to one step per op.
#include <ATen/ops/equal.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "fxq/graph/artifact.h"
#include "fxq/graph/op_module.h"
#include "fxq/quant/compare.h"
#include "fxq/quant/convert_fx.h"
#include "fxq/quant/fake_quantize.h"
#include "fxq/quant/first_difference.h"
#include "fxq/quant/quant_op_module.h"
#include "nets.h"

namespace fxq {
namespace {

using quant_test::graph_text;
using quant_test::kConvReluLinear;
using quant_test::net;
using quant_test::quantize_net;
using quant_test::random;
using quant_test::Stages;
using quant_test::StagesOptions;
using ::testing::HasSubstr;

// How many values were compared: each op is judged on the same input.
int expect_one_step(const Stages& stages, double allowed = 1.0) {
  const auto found = first_difference(stages.observed, stages.quantized, stages.input, allowed);
  EXPECT_TRUE(found.ok()) << found.status();
  if (!found.ok()) return 0;
  EXPECT_EQ(found->node, "") << found->steps << " steps";
  return found->compared;
}

TEST(ConvertTest, ConvReluLinear) {
  const Stages stages = quantize_net(kConvReluLinear);
  EXPECT_EQ(graph_text(stages.quantized), R"(graph (%x) {
  %x_q = quantize(%x)
  %relu = conv2d @conv(%x_q, activation="relu")
  %pool = adaptive_avg_pool2d(%relu, [1,1])
  %flat = flatten(%pool, 1)
  %fc = linear @fc(%flat)
  %fc_dq = dequantize(%fc)
  return %fc_dq
}
)");
  EXPECT_EQ(stages.quantized.graph().find("relu")->type.dtype, DType::kU8);
  EXPECT_EQ(stages.quantized.graph().find("fc")->type.dtype, DType::kI8);
  EXPECT_EQ(expect_one_step(stages), 4);
  auto reference = net(kConvReluLinear).forward(stages.input);
  auto observed = stages.observed.forward(stages.input);
  auto integers = QuantizedGraph::from_graph_module(stages.quantized.copy())->forward(stages.input);
  ASSERT_TRUE(integers.ok()) << integers.status();
  EXPECT_GT(*sqnr_db(*reference, *integers), 30.0);
  EXPECT_GT(*sqnr_db(*reference, *observed), 30.0);
}

TEST(ConvertTest, IntegerModuleFollowsTheFormulas) {
  const Stages stages = quantize_net(kConvReluLinear);
  const OpModule& conv = *stages.quantized.op_module(*stages.quantized.graph().find("relu"));
  const OpModule& observed = *stages.observed.op_module(*stages.observed.graph().find("relu"));
  const at::Tensor weight = observed.tensor("weight");
  const at::Tensor scale = weight.abs().amax({1, 2, 3}) / 127.5F;
  EXPECT_TRUE(at::equal(conv.tensor("weight_scale"), scale));
  const at::Tensor q = (weight * (1.0F / scale).view({-1, 1, 1, 1})).round().clamp(-128, 127);
  EXPECT_TRUE(at::equal(conv.tensor("weight"), q.to(at::kChar)));
  const double in = stages.quantized.graph().find("x_q")->type.qparams->scale;
  const double out = stages.quantized.graph().find("relu")->type.qparams->scale;
  for (int64_t c = 0; c < 8; ++c) {
    const double step = in * static_cast<double>(scale[c].item<float>());
    EXPECT_EQ(conv.tensor("bias")[c].item<int>(),
              std::nearbyint(observed.tensor("bias")[c].item<double>() / step));
    EXPECT_EQ(conv.tensor("multiplier")[c].item<float>(), static_cast<float>(step / out));
  }
}

// Every kernel family, at one step from the fake-quant graph.
struct FamilyCase {
  const char* name;
  const char* body;  // uses %c, f32[2,8,8,8], the result of a convolution; gives %y
  int compared;
};

void PrintTo(const FamilyCase& c, std::ostream* out) { *out << c.name; }

class FamilyTest : public ::testing::TestWithParam<FamilyCase> {};

TEST_P(FamilyTest, OneStep) {
  const std::string text = std::string(R"(
module @a = conv2d(weight: f32[8,3,3,3], bias: f32[8], stride=[1,1], padding=[1,1])
module @b = conv2d(weight: f32[8,8,3,3], bias: none, stride=[1,1], padding=[1,1])
module @t = conv_transpose2d(weight: f32[8,2,2,2], bias: f32[4], stride=[2,2], groups=2)
module @dw = conv2d(weight: f32[8,1,3,3], bias: f32[8], stride=[2,2], padding=[1,1], groups=8)
module @bn = batch_norm(weight: f32[8], bias: f32[8], running_mean: f32[8], running_var: f32[8], momentum=0.1, eps=1e-05, cudnn_enabled=true)
module @prelu = prelu(weight: f32[8])
state @a.weight = normal(1, 0.2)
state @a.bias = normal(2, 0.3)
state @b.weight = normal(3, 0.1)
state @t.weight = normal(4, 0.2)
state @t.bias = normal(5, 0.2)
state @dw.weight = normal(6, 0.2)
state @dw.bias = normal(7, 0.2)
state @bn.weight = normal(8)
state @bn.bias = normal(9)
state @bn.running_mean = normal(10)
state @bn.running_var = ones
state @prelu.weight = normal(11, 0.3)
graph (%x: f32[2,3,8,8]) {
  %c = conv2d @a(%x) : f32[2,8,8,8]
  )") + GetParam().body + "\n  return %y\n}\n";
  const Stages stages = quantize_net(text);
  for (const OpStatus& op : stages.report.ops)
    EXPECT_EQ(op.mode, OpMode::kInt8) << op.node << op.reason;
  EXPECT_EQ(expect_one_step(stages), GetParam().compared);
}

constexpr FamilyCase kFamilies[] = {
    {"residual",
     "%r = relu(%c) : f32[2,8,8,8]\n %d = conv2d @b(%r) : f32[2,8,8,8]\n"
     " %s = add(%d, %r) : f32[2,8,8,8]\n %y = relu(%s) : f32[2,8,8,8]",
     2},
    {"depthwise", "%r = relu6(%c) : f32[2,8,8,8]\n %y = conv2d @dw(%r) : f32[2,8,4,4]", 2},
    {"transpose", "%y = conv_transpose2d @t(%c) : f32[2,4,16,16]", 2},
    {"add", "%r = relu(%c) : f32[2,8,8,8]\n %y = add(%c, %r) : f32[2,8,8,8]", 3},
    {"sub", "%m = mean(%c, [2,3], true) : f32[2,8,1,1]\n %y = sub(%c, %m) : f32[2,8,8,8]", 3},
    {"mul_relu",
     "%s = sigmoid(%c) : f32[2,8,8,8]\n %m = mul(%c, %s) : f32[2,8,8,8]\n"
     " %y = relu(%m) : f32[2,8,8,8]",
     3},
    {"scalars",
     "%s = add_scalar(%c, 0.5) : f32[2,8,8,8]\n %y = mul_scalar(%s, -2.0) : f32[2,8,8,8]", 3},
    {"cat", "%s = tanh(%c) : f32[2,8,8,8]\n %y = cat([%c,%s,%x], 1) : f32[2,19,8,8]", 3},
    {"max_pool", "%y = max_pool2d(%c, [3,3], [2,2], [1,1]) : f32[2,8,4,4]", 2},
    {"avg_pool", "%y = avg_pool2d(%c, [3,3], [2,2], [1,1], true, false) : f32[2,8,5,5]", 2},
    {"adaptive", "%y = adaptive_avg_pool2d(%c, [3,5]) : f32[2,8,3,5]", 2},
    {"unary",
     "%s = silu(%c) : f32[2,8,8,8]\n %g = gelu(%s) : f32[2,8,8,8]\n"
     " %y = leaky_relu(%g, 0.1) : f32[2,8,8,8]",
     4},
    {"prelu", "%y = prelu @prelu(%c) : f32[2,8,8,8]", 2},
    {"batch_norm",
     "%p = avg_pool2d(%c, [2,2]) : f32[2,8,4,4]\n"
     " %n = batch_norm @bn(%p) : f32[2,8,4,4]\n %y = relu(%n) : f32[2,8,4,4]",
     3},
    {"split",
     "%s = chunk(%c, 2, 1) : (f32[2,4,8,8], f32[2,4,8,8])\n"
     " %u = getitem(%s, 0) : f32[2,4,8,8]\n %v = getitem(%s, 1) : f32[2,4,8,8]\n"
     " %y = cat([%v,%u], 1) : f32[2,8,8,8]",
     4},
    {"moves",
     "%p = permute(%c, [0,2,3,1]) : f32[2,8,8,8]\n %q = pad(%p, [1,1], 0.0) : f32[2,8,8,10]\n"
     " %y = slice(%q, 1, 0, 4, 2) : f32[2,2,8,10]",
     4},
    {"shuffle", "%y = channel_shuffle(%c, 2) : f32[2,8,8,8]", 2},
    {"bilinear", "%y = upsample_bilinear2d(%c, none, false, [2.0,1.5]) : f32[2,8,16,12]", 2},
    {"upsample", "%y = upsample_nearest2d(%c, none, [2.0,2.0]) : f32[2,8,16,16]", 2},
};

INSTANTIATE_TEST_SUITE_P(All, FamilyTest, ::testing::ValuesIn(kFamilies),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(ConvertTest, Int16) {
  StagesOptions options;
  options.qconfigs.global = *get_default_calib_qconfig("qint16");
  const Stages stages = quantize_net(kConvReluLinear, options);
  EXPECT_EQ(stages.quantized.graph().find("fc")->type.dtype, DType::kI16);
  EXPECT_EQ(expect_one_step(stages), 4);
  auto integers = QuantizedGraph::from_graph_module(stages.quantized.copy())->forward(stages.input);
  ASSERT_TRUE(integers.ok()) << integers.status();
  EXPECT_EQ(stages.report.count(OpMode::kInt16), 4);
}

// A residual whose halves have different widths: the addend is brought to the sum's.
TEST(ConvertTest, WidthsThatMeetInAnAdd) {
  const char* text = R"(
module @a = conv2d(weight: f32[8,8,3,3], bias: f32[8], padding=[1,1])
module @b = conv2d(weight: f32[8,8,3,3], bias: f32[8], padding=[1,1])
state @a.weight = normal(1, 0.2)
state @a.bias = normal(2, 0.3)
state @b.weight = normal(3, 0.2)
state @b.bias = normal(4, 0.3)
graph (%x: f32[2,8,8,8]) {
  %a = conv2d @a(%x) : f32[2,8,8,8]
  %b = conv2d @b(%a, add=%a, activation="relu") : f32[2,8,8,8]
  %c = add(%a, %b) : f32[2,8,8,8]
  return %c
}
)";
  for (const char* wide : {"a", "b"}) {
    StagesOptions options;
    options.qconfigs.global = *get_default_calib_qconfig();
    options.qconfigs.module_name = {{wide, *get_default_calib_qconfig("qint16")}};
    const Stages stages = quantize_net(text, options);
    EXPECT_THAT(graph_text(stages.quantized), HasSubstr("requantize(%a)"));
    for (const Node* node : stages.quantized.graph().find_all(OpId::kRequantize)) {
      EXPECT_NE(node->type.dtype, node->inputs()[0]->type.dtype) << node->name();
    }
    // 16 bits that become 8 are a step of their own.
    EXPECT_GE(expect_one_step(stages, wide == std::string("a") ? 2.0 : 1.0), 3) << wide;
  }
}

TEST(ConvertTest, OutQConfigGivesFloatsFromTheAccumulator) {
  StagesOptions options;
  options.qconfigs.module_name = {{"fc", *get_default_qat_out_qconfig()}};
  const Stages stages = quantize_net(kConvReluLinear, options);
  EXPECT_THAT(graph_text(stages.quantized), HasSubstr("%fc = linear @fc(%flat)\n  return %fc"));
  const OpModule& fc = *stages.quantized.op_module(*stages.quantized.graph().find("fc"));
  EXPECT_TRUE(fc.tensor("out_scale").defined());
  auto integers = QuantizedGraph::from_graph_module(stages.quantized.copy())->forward(stages.input);
  EXPECT_GT(*sqnr_db(*net(kConvReluLinear).forward(stages.input), *integers), 30.0);
}

TEST(ConvertTest, FloatIslandHasOneBoundaryPerValue) {
  const Stages stages = quantize_net(R"(
module @a = conv2d(weight: f32[4,4,1,1], bias: none)
module @b = conv2d(weight: f32[4,4,1,1], bias: none)
state @a.weight = normal(1)
state @b.weight = normal(2)
graph (%x: f32[1,4,4,4]) {
  %a = conv2d @a(%x) : f32[1,4,4,4]
  %s = softmax(%a, 1) : f32[1,4,4,4]
  %m = maximum(%a, %s) : f32[1,4,4,4]
  %b = conv2d @b(%m) : f32[1,4,4,4]
  %c = add(%m, %b) : f32[1,4,4,4]
  return (%c, %a)
}
)");
  EXPECT_EQ(graph_text(stages.quantized), R"(graph (%x) {
  %x_q = quantize(%x)
  %a = conv2d @a(%x_q)
  %a_dq = dequantize(%a)
  %s = softmax(%a_dq, 1)
  %m = maximum(%a_dq, %s)
  %m_q = quantize(%m)
  %c = conv2d @b(%m_q, add=%m_q)
  %c_dq = dequantize(%c)
  return (%c_dq, %a_dq)
}
)");
  EXPECT_EQ(stages.report.find("s")->code, "E001");
}

TEST(ConvertTest, PartsOfAFloatValueAreQuantizedOneByOne) {
  const Stages stages = quantize_net(R"(
module @a = conv2d(weight: f32[4,2,1,1], bias: none)
state @a.weight = normal(1)
graph (%x: f32[1,4,4,4]) {
  %c = chunk(%x, 2, 1) : (f32[1,2,4,4], f32[1,2,4,4])
  %g = getitem(%c, 1) : f32[1,2,4,4]
  %a = conv2d @a(%g) : f32[1,4,4,4]
  return %a
}
)");
  EXPECT_THAT(graph_text(stages.quantized),
              HasSubstr("%g_q = quantize(%g)\n  %a = conv2d @a(%g_q)"));
}

TEST(ConvertTest, ValuesWrittenInPlaceStayFloat) {
  const char* text = R"(
module @a = conv2d(weight: f32[4,3,1,1], bias: none)
module @b = conv2d(weight: f32[4,4,1,1], bias: none)
state @a.weight = normal(1)
state @b.weight = normal(2)
graph (%x: f32[1,3,4,4]) {
  %a = conv2d @a(%x) : f32[1,4,4,4]
  %r = relu(%a) : f32[1,4,4,4]
  %t = tanh(%r) : f32[1,4,4,4]
  %s = slice(%t, 1, 0, 2) : f32[1,2,4,4]
  %w = aten::fill_.Scalar(%s, 9.0) : f32[1,2,4,4]
  %b = conv2d @b(%t) : f32[1,4,4,4]
  %c = conv2d @b(%b) : f32[1,4,4,4]
  return %c
}
)";
  const Stages stages = quantize_net(text);
  EXPECT_EQ(stages.report.find("r")->mode, OpMode::kInt8);
  for (const char* name : {"t", "s", "b"})
    EXPECT_EQ(stages.report.find(name)->code, "E008") << name;
  EXPECT_EQ(stages.report.find("c")->mode, OpMode::kInt8);
  auto integers = QuantizedGraph::from_graph_module(stages.quantized.copy())->forward(stages.input);
  EXPECT_GT(*sqnr_db(*net(text).forward(stages.input), *integers), 25.0);
}

TEST(ConvertTest, SharedModuleHasScalesPerCall) {
  const Stages stages = quantize_net(R"(
module @a = conv2d(weight: f32[4,4,1,1], bias: f32[4])
state @a.weight = normal(1)
state @a.bias = normal(2)
graph (%x: f32[1,4,4,4]) {
  %a = conv2d @a(%x) : f32[1,4,4,4]
  %a_1 = conv2d @a(%a) : f32[1,4,4,4]
  return %a_1
}
)");
  EXPECT_THAT(graph_text(stages.quantized), HasSubstr("%a_1 = conv2d @a_1(%a)"));
  EXPECT_EQ(expect_one_step(stages), 2);
}

// "tensor 'fc.weight': the file has another tensor of this name"
TEST(ConvertTest, FloatWeightsThatOthersReadKeepANameOfTheirOwn) {
  GraphModule model = net(R"(
module @fc = linear(weight: f32[4,4], bias: f32[4])
state * = normal(1)
graph (%x: f32[4,4]) {
  %fc = linear @fc(%x) : f32[4,4]
  %rest = aten::fmod.Tensor(%x, %x) : f32[4,4]
  return (%fc, %rest)
}
)");
  Node* rest = model.graph().find("rest");
  {
    const InsertionPoint here(model.graph(), rest);
    model.set_tensor("fc.weight", model.op_module(*model.graph().find("fc"))->tensor("weight"));
    model.graph().set_arg(rest, 1, Argument(model.graph().get_attr("fc.weight")));
  }
  const auto observed = prepare_calibration_fx(model);
  ASSERT_TRUE(observed.ok()) << observed.status();
  ASSERT_TRUE(observed->forward({random({4, 4})}).ok());
  const auto quantized = convert_fx(*observed);
  ASSERT_TRUE(quantized.ok()) << quantized.status();
  const std::string path = ::testing::TempDir() + "fxq_hidden.fxq";
  const absl::Status saved = save(quantized->graph_module(), path);
  ASSERT_TRUE(saved.ok()) << saved;
  const auto again = load(path);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(graph_text(*again), graph_text(quantized->graph_module()));
  EXPECT_THAT(graph_text(*again), HasSubstr("get_attr @fc.weight_float"));
}

TEST(ConvertTest, UncalibratedIsAnErrorUnlessAllowed) {
  auto observed = prepare_calibration_fx(net(kConvReluLinear));
  ASSERT_TRUE(observed.ok()) << observed.status();
  const auto refused = convert_fx(*observed);
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("relu_fq, x_fq"));
  ConvertOptions options;
  options.allow_uncalibrated = true;
  const auto allowed = convert_fx(*observed, options);
  ASSERT_TRUE(allowed.ok()) << allowed.status();
  EXPECT_THAT(allowed->report.to_string(), HasSubstr("never saw data"));
}

TEST(ConvertTest, CalibrationWithNothingButZerosIsSaid) {
  auto observed = prepare_calibration_fx(net(kConvReluLinear));
  ASSERT_TRUE(observed.ok()) << observed.status();
  ASSERT_TRUE(observed->forward({at::zeros({2, 3, 8, 8})}).ok());
  const auto converted = convert_fx(*observed);
  ASSERT_TRUE(converted.ok()) << converted.status();
  EXPECT_THAT(converted->report.to_string(), HasSubstr("saw only zeros"));
  EXPECT_THAT(converted->report.to_string(), HasSubstr("x_fq"));
}

TEST(ConvertTest, OtherMarchIsAnError) {
  auto observed = prepare_calibration_fx(net(kConvReluLinear));
  ConvertOptions options;
  options.march = March::BAYES;
  EXPECT_THAT(std::string(convert_fx(*observed, options).status().message()),
              HasSubstr("prepared for CPU, not for BAYES"));
}

TEST(ConvertTest, LargeBiasWidensItsChannel) {
  const Stages stages = quantize_net(R"(
module @a = conv2d(weight: f32[2,1,1,1], bias: f32[2])
state @a.weight = values([1e-20, 1.0])
state @a.bias = values([50.0, 0.5])
graph (%x: f32[1,1,4,4]) {
  %a = conv2d @a(%x) : f32[1,2,4,4]
  return %a
}
)");
  EXPECT_EQ(expect_one_step(stages), 1);
  EXPECT_THAT(stages.report.to_string(), HasSubstr("channels 0 have a bias far above"));
}

TEST(ConvertTest, NanInDataNamesNodeAndBatch) {
  auto observed = prepare_calibration_fx(net(kConvReluLinear));
  at::Tensor x = random({2, 3, 8, 8});
  ASSERT_TRUE(observed->forward({x}).ok());
  x[0][0][0][0] = std::nanf("");
  const auto status = observed->forward({x}).status();
  EXPECT_THAT(std::string(status.message()), HasSubstr("%x_fq"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("batch 1 holds NaN"));
}

}  // namespace
}  // namespace fxq
