// Where a hybrid model is cut, what stands at the cuts, and what is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fxq/graph/text.h"
#include "fxq/quant/fake_quantize.h"
#include "nets.h"

namespace fxq {
namespace {

using quant_test::graph_text;
using quant_test::net;
using quant_test::random_inputs;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

absl::StatusOr<ObservedGraphModule> prepare(const std::string& text, const PrepareOptions& options,
                                            const QConfigDict& dict = {}) {
  QConfigDict qconfigs = dict;
  if (!qconfigs.global) qconfigs.global = *get_default_calib_qconfig();
  return prepare_calibration_fx(net(text), qconfigs, options);
}

PrepareOptions hybrid(March march, HybridDict dict = {}) {
  PrepareOptions options;
  options.march = march;
  options.hybrid = true;
  options.hybrid_dict = std::move(dict);
  return options;
}

std::string message(const absl::StatusOr<ObservedGraphModule>& result) {
  EXPECT_FALSE(result.ok());
  return std::string(result.status().message());
}

// The vendor's printed example: conv1 and conv3 are named, the march has neither prelu nor selu.
constexpr const char* kExample = R"(
module @quant = quant_stub()
module @conv0 = conv2d(weight: f32[4,4,1,1], bias: f32[4])
module @conv1 = conv2d(weight: f32[4,4,1,1], bias: f32[4])
module @conv2 = conv2d(weight: f32[4,4,1,1], bias: f32[4])
module @conv3 = conv2d(weight: f32[4,4,1,1], bias: f32[4])
module @conv4 = conv2d(weight: f32[4,4,1,1], bias: f32[4])
module @prelu = prelu(weight: f32[4])
module @dequant = dequant_stub()
state * = normal(3, 0.5)
graph (%x: f32[1,4,8,8]) {
  %quant = quant_stub @quant(%x) : f32[1,4,8,8]
  %conv0 = conv2d @conv0(%quant) : f32[1,4,8,8]
  %identity = identity(%conv0) : f32[1,4,8,8]
  %prelu = prelu @prelu(%identity) : f32[1,4,8,8]
  %selu = selu(%prelu) : f32[1,4,8,8]
  %conv1 = conv2d @conv1(%selu) : f32[1,4,8,8]
  %prelu_1 = prelu @prelu(%conv1) : f32[1,4,8,8]
  %selu_1 = selu(%prelu_1) : f32[1,4,8,8]
  %conv2 = conv2d @conv2(%selu_1) : f32[1,4,8,8]
  %conv3 = conv2d @conv3(%conv2) : f32[1,4,8,8]
  %identity_1 = identity(%conv3) : f32[1,4,8,8]
  %conv4 = conv2d @conv4(%identity_1) : f32[1,4,8,8]
  %selu_2 = selu(%conv4) : f32[1,4,8,8]
  %dequant = dequant_stub @dequant(%selu_2) : f32[1,4,8,8]
  return %dequant
}
)";

TEST(HybridTest, OfficialExample) {
  const auto observed = prepare(kExample, hybrid(March::BERNOULLI2, {{}, {"conv1", "conv3"}}));
  ASSERT_TRUE(observed.ok()) << observed.status();
  EXPECT_EQ(graph_text(observed->graph_module()), R"(graph (%x) {
  %quant = quant_stub @quant(%x)
  %quant_fq = fake_quantize @quant_fq(%quant)
  %conv0 = fq_conv2d @conv0(%quant_fq)
  %conv0_fq = fake_quantize @conv0_fq(%conv0)
  %conv0_dequant = dequant_stub(%conv0_fq)
  %prelu = prelu @prelu(%conv0_dequant)
  %selu = selu(%prelu)
  %conv1 = conv2d @conv1(%selu)
  %prelu_1 = prelu @prelu(%conv1)
  %selu_1 = selu(%prelu_1)
  %selu_1_fq = fake_quantize @selu_1_fq(%selu_1)
  %conv2 = fq_conv2d @conv2(%selu_1_fq)
  %conv2_fq = fake_quantize @conv2_fq(%conv2)
  %conv2_dequant = dequant_stub(%conv2_fq)
  %conv3 = conv2d @conv3(%conv2_dequant)
  %conv3_fq = fake_quantize @conv3_fq(%conv3)
  %conv4 = fq_conv2d @conv4(%conv3_fq)
  %conv4_fq = fake_quantize @conv4_fq(%conv4)
  %conv4_dequant = dequant_stub(%conv4_fq)
  %selu_2 = selu(%conv4_dequant)
  %dequant = dequant_stub @dequant(%selu_2)
  return %dequant
}
)");
  const GraphModule& gm = observed->graph_module();
  for (const char* name : {"conv0", "conv2", "conv4"})
    EXPECT_EQ(gm.graph().find(name)->device, "BPU") << name;
  for (const char* name : {"prelu", "selu", "conv1", "conv3", "selu_2"})
    EXPECT_EQ(gm.graph().find(name)->device, "CPU") << name;
  EXPECT_EQ(observed->report.find("conv1")->code, "E011");
  EXPECT_THAT(observed->report.find("conv1")->reason, HasSubstr("module_name \"conv1\""));
  EXPECT_THAT(observed->report.find("selu")->reason, HasSubstr("BERNOULLI2 has no selu"));
}

// Training puts the same fake quants and dequants in the same places, from a calibrated model too.
TEST(HybridTest, TrainingIsPreparedAsCalibrationIs) {
  const PrepareOptions options = hybrid(March::BERNOULLI2, {{}, {"conv1", "conv3"}});
  const auto calibrated = prepare(kExample, options);
  ASSERT_TRUE(calibrated.ok()) << calibrated.status();
  auto trained = prepare_qat_fx(net(kExample), options);
  ASSERT_TRUE(trained.ok()) << trained.status();
  const std::string expected = graph_text(calibrated->graph_module());
  EXPECT_EQ(graph_text(trained->graph_module()), expected);
  EXPECT_TRUE(trained->graph_module().is_training());
  const auto result = trained->forward(random_inputs(trained->graph_module(), 1));
  ASSERT_TRUE(result.ok()) << result.status();
  result->toTensor().sum().backward();
  EXPECT_TRUE(trained->graph_module().parameters()[0].grad().defined());
  auto further = prepare_qat_fx(*calibrated, options);
  ASSERT_TRUE(further.ok()) << further.status();
  EXPECT_EQ(graph_text(further->graph_module()), expected);
}

// conv4 may have the out qconfig, since only CPU ops follow it.
TEST(HybridTest, OutQConfigBeforeCpuOps) {
  QConfigDict dict;
  dict.module_name = {{"conv4", *get_default_qat_out_qconfig()}};
  auto observed = prepare(kExample, hybrid(March::BERNOULLI2, {{}, {"conv1", "conv3"}}), dict);
  ASSERT_TRUE(observed.ok()) << observed.status();
  EXPECT_THAT(graph_text(observed->graph_module()), HasSubstr("%selu_2 = selu(%conv4)"));
}

TEST(HybridTest, WithoutHybridAllUnsupportedOpsAreOneError) {
  PrepareOptions options;
  options.march = March::BERNOULLI2;
  const std::string text = message(prepare(R"(
module @big = conv2d(weight: f32[4,4,9,9], bias: none, padding=[4,4], dilation=[3,3])
module @fc = linear(weight: f32[4,8], bias: none)
graph (%x: f32[1,4,8,8]) {
  %big = conv2d @big(%x) : f32[1,4,8,8] {source="net.py:7"}
  %selu = selu(%big) : f32[1,4,8,8] {owner="act", class="Act", source="net.py:8"}
  %fc = linear @fc(%selu) : f32[1,4,8,4] {source="net.py:9"}
  return %fc
}
)",
                                           options));
  EXPECT_THAT(text, HasSubstr("3 op(s) do not run on BERNOULLI2"));
  EXPECT_THAT(text, HasSubstr("set hybrid=true"));
  EXPECT_THAT(text,
              HasSubstr("%big (conv2d) in 'big' at net.py:7: E010 kernel size is 9, BERNOULLI2 "
                        "allows 1 to 7; dilation is 3, BERNOULLI2 allows 1, 2 or 4"));
  EXPECT_THAT(text, HasSubstr("%selu (selu) in 'act' at net.py:8: E001 BERNOULLI2 has no selu"));
  EXPECT_THAT(text, HasSubstr("%fc (linear) in 'fc' at net.py:9: E001 BERNOULLI2 has no linear"));
}

constexpr const char* kCpuInTheMiddle = R"(
module @a = conv2d(weight: f32[4,4,1,1], bias: none)
module @b = conv2d(weight: f32[4,4,1,1], bias: none)
module @c = conv2d(weight: f32[4,4,1,1], bias: none)
state * = normal(5, 0.5)
graph (%x: f32[1,4,8,8]) {
  %a = conv2d @a(%x) : f32[1,4,8,8]
  %s = selu(%a) : f32[1,4,8,8]
  %b = conv2d @b(%s) : f32[1,4,8,8]
  %c = conv2d @c(%s) : f32[1,4,8,8]
  %m = mish(%s) : f32[1,4,8,8]
  return (%b, %c, %m)
}
)";

TEST(HybridTest, SeveralReadersOfACpuOpShareOneFakeQuant) {
  const auto observed = prepare(kCpuInTheMiddle, hybrid(March::BAYES));
  ASSERT_TRUE(observed.ok()) << observed.status();
  EXPECT_EQ(graph_text(observed->graph_module()), R"(graph (%x) {
  %x_fq = fake_quantize @x_fq(%x)
  %a = fq_conv2d @a(%x_fq)
  %a_fq = fake_quantize @a_fq(%a)
  %a_dequant = dequant_stub(%a_fq)
  %s = selu(%a_dequant)
  %s_fq = fake_quantize @s_fq(%s)
  %b = fq_conv2d @b(%s_fq)
  %b_fq = fake_quantize @b_fq(%b)
  %c = fq_conv2d @c(%s_fq)
  %c_fq = fake_quantize @c_fq(%c)
  %m = mish(%s)
  return (%b_fq, %c_fq, %m)
}
)");
}

TEST(HybridTest, TheCpuOpsQConfigDecidesAboutItsFakeQuant) {
  QConfigDict dict;
  dict.module_name = {{"act", *get_default_calib_qconfig("qint16")}};
  std::string text = kCpuInTheMiddle;
  text.replace(text.find("%s = selu(%a) : f32[1,4,8,8]"), 28,
               "%s = selu(%a) : f32[1,4,8,8] {owner=\"act\", class=\"Act\"}");
  const auto observed = prepare(text, hybrid(March::BAYES), dict);
  ASSERT_TRUE(observed.ok()) << observed.status();
  const auto module =
      std::dynamic_pointer_cast<FakeQuantize>(observed->graph_module().module("s_fq"));
  ASSERT_NE(module, nullptr);
  EXPECT_EQ(module->dtype(), DType::kI16);
}

TEST(HybridTest, PreviousOpWithoutActivationIsAnErrorThatNamesBoth) {
  for (const std::optional<QConfig>& none :
       {std::optional<QConfig>(), std::optional<QConfig>(*get_default_qat_out_qconfig())}) {
    QConfigDict dict;
    dict.module_name = {{"act", none}};
    std::string text = kCpuInTheMiddle;
    text.replace(text.find("%s = selu(%a) : f32[1,4,8,8]"), 28,
                 "%s = selu(%a) : f32[1,4,8,8] {owner=\"act\", class=\"Act\"}");
    const std::string error = message(prepare(text, hybrid(March::BAYES), dict));
    EXPECT_THAT(error, HasSubstr("E013 %b (conv2d) in 'b' runs on the BPU and reads %s (selu) in "
                                 "'act', whose qconfig has no activation"));
    EXPECT_THAT(error, HasSubstr("%c (conv2d) in 'c'"));
  }
}

TEST(HybridTest, ModelStartsAndEndsOnTheCpu) {
  const auto observed = prepare(R"(
module @a = conv2d(weight: f32[4,4,1,1], bias: none)
state * = normal(5, 0.5)
graph (%x: f32[1,4,8,8]) {
  %s = selu(%x) : f32[1,4,8,8]
  %a = conv2d @a(%s) : f32[1,4,8,8]
  %e = selu(%a) : f32[1,4,8,8]
  return %e
}
)",
                                hybrid(March::BAYES));
  ASSERT_TRUE(observed.ok()) << observed.status();
  EXPECT_EQ(graph_text(observed->graph_module()), R"(graph (%x) {
  %s = selu(%x)
  %s_fq = fake_quantize @s_fq(%s)
  %a = fq_conv2d @a(%s_fq)
  %a_fq = fake_quantize @a_fq(%a)
  %a_dequant = dequant_stub(%a_fq)
  %e = selu(%a_dequant)
  return %e
}
)");
}

TEST(HybridTest, TypesAndSubmodulesAreNamed) {
  std::string text = R"(
module @head.a = conv2d(weight: f32[4,4,1,1], bias: none)
module @heads.a = conv2d(weight: f32[4,4,1,1], bias: none)
module @p = avg_pool2d(kernel_size=[2,2])
state * = normal(5, 0.5)
graph (%x: f32[1,4,8,8]) {
  %p = avg_pool2d @p(%x) : f32[1,4,4,4] {class="torch.nn.modules.pooling.AvgPool2d"}
  %a = conv2d @head.a(%p) : f32[1,4,4,4]
  %b = conv2d @heads.a(%a) : f32[1,4,4,4]
  return %b
}
)";
  auto observed = prepare(text, hybrid(March::BAYES, {{"AvgPool2d"}, {"head"}}));
  ASSERT_TRUE(observed.ok()) << observed.status();
  EXPECT_EQ(observed->report.find("p")->code, "E011");
  EXPECT_EQ(observed->report.find("a")->code, "E011");
  EXPECT_EQ(observed->report.find("b")->mode, OpMode::kInt8);
  EXPECT_THAT(message(prepare(text, hybrid(March::BAYES, {{"AvgPool"}, {"hed"}}))),
              AllOf(HasSubstr("hybrid_dict: there is no module 'hed'"),
                    HasSubstr("hybrid_dict: there is no module of class 'AvgPool'")));
}

// A member that was folded away names the whole op.
TEST(HybridTest, AnyMemberOfAFusedOpNamesIt) {
  const auto observed = prepare(R"(
module @c = conv2d(weight: f32[4,4,1,1], bias: none)
module @act = relu()
state * = normal(5, 0.5)
graph (%x: f32[1,4,8,8]) {
  %c = conv2d @c(%x) : f32[1,4,8,8]
  %r = relu @act(%c) : f32[1,4,8,8]
  return %r
}
)",
                                hybrid(March::BAYES, {{}, {"c"}}));
  ASSERT_TRUE(observed.ok()) << observed.status();
  EXPECT_EQ(observed->report.find("r")->code, "E011");
}

TEST(HybridTest, RequestsThatMakeNoSense) {
  PrepareOptions named;
  named.march = March::BAYES;
  named.hybrid_dict = {{}, {"a"}};
  EXPECT_THAT(message(prepare(kCpuInTheMiddle, named)), HasSubstr("hybrid_dict needs hybrid=true"));
  EXPECT_THAT(message(prepare(kCpuInTheMiddle, hybrid(March::CPU))),
              HasSubstr("the march is CPU; choose BERNOULLI2, BAYES or META"));
}

TEST(HybridTest, InsertedStubsCanBeTakenOut) {
  auto observed = prepare(kExample, hybrid(March::BERNOULLI2, {{}, {"conv1", "conv3"}}));
  ASSERT_TRUE(observed.ok()) << observed.status();
  GraphModule& gm = observed->graph_module();
  remove_dequant_stubs(gm);
  const std::string text = graph_text(gm);
  EXPECT_THAT(text, HasSubstr("%prelu = prelu @prelu(%conv0_fq)"));
  EXPECT_THAT(text, HasSubstr("%dequant = dequant_stub @dequant(%selu_2)"));
  EXPECT_THAT(text, Not(HasSubstr("_dequant")));
}

TEST(HybridTest, ConvertsAndKeepsItsDevices) {
  auto observed = prepare(kExample, hybrid(March::BERNOULLI2, {{}, {"conv1", "conv3"}}));
  ASSERT_TRUE(observed.ok()) << observed.status();
  ASSERT_TRUE(observed->forward(random_inputs(net(kExample), 1)).ok());
  const auto quantized = convert_fx(*observed);
  ASSERT_TRUE(quantized.ok()) << quantized.status();
  EXPECT_EQ(graph_text(quantized->graph_module()), R"(graph (%x) {
  %quant_q = quantize(%x)
  %conv0 = conv2d @conv0(%quant_q)
  %conv0_dq = dequantize(%conv0)
  %prelu = prelu @prelu(%conv0_dq)
  %selu = selu(%prelu)
  %conv1 = conv2d @conv1(%selu)
  %prelu_1 = prelu @prelu(%conv1)
  %selu_1 = selu(%prelu_1)
  %selu_1_q = quantize(%selu_1)
  %conv2 = conv2d @conv2(%selu_1_q)
  %conv2_dq = dequantize(%conv2)
  %conv3 = conv2d @conv3(%conv2_dq)
  %conv3_q = quantize(%conv3)
  %conv4 = conv2d @conv4(%conv3_q)
  %conv4_dq = dequantize(%conv4)
  %selu_2 = selu(%conv4_dq)
  return %selu_2
}
)");
  EXPECT_EQ(quantized->graph_module().graph().find("conv2")->device, "BPU");
  EXPECT_EQ(quantized->graph_module().graph().find("conv3")->device, "CPU");
}

}  // namespace
}  // namespace fxq
