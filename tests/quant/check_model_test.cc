// The table of check_model, partitions, and segments that run alone.
#include "fxq/quant/check_model.h"

#include <ATen/ops/equal.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fxq/quant/partition.h"
#include "nets.h"

namespace fxq {
namespace {

using quant_test::net;
using quant_test::quantize_net;
using quant_test::Stages;
using quant_test::StagesOptions;
using ::testing::HasSubstr;
using ::testing::Not;

CheckReport check(const std::string& text, March march, const CheckOptions& options = {}) {
  const auto report = check_model(net(text), march, {}, options);
  EXPECT_TRUE(report.ok()) << report.status();
  return report.ok() ? *report : CheckReport();
}

const CheckRow& row(const CheckReport& report, const std::string& node) {
  for (const CheckRow& row : report.rows) {
    if (row.node == node) return row;
  }
  ADD_FAILURE() << "no row for " << node;
  return report.rows.at(0);
}

constexpr const char* kIsland = R"(
module @a = conv2d(weight: f32[8,4,3,3], bias: none, padding=[1,1])
module @b = conv2d(weight: f32[4,8,1,1], bias: none)
state * = normal(5, 0.3)
graph (%x: f32[1,4,8,8]) {
  %a = conv2d @a(%x) : f32[1,8,8,8] {source="net.py:3"}
  %r = relu(%a) : f32[1,8,8,8] {source="net.py:4"}
  %s = selu(%r) : f32[1,8,8,8] {source="net.py:5"}
  %t = tanh(%r) : f32[1,8,8,8]
  %m = mul(%s, %t) : f32[1,8,8,8]
  %b = conv2d @b(%m) : f32[1,4,8,8] {source="net.py:7"}
  return %b
}
)";

constexpr const char* kOneConv = R"(
module @a = conv2d(weight: f32[4,4,1,1], bias: none)
graph (%x: f32[1,4,8,8]) {
  %a = conv2d @a(%x) : f32[1,4,8,8]
  return %a
}
)";

TEST(CheckModelTest, TableOfAModelThatDoesNotPass) {
  const CheckReport report = check(kIsland, March::BAYES);
  EXPECT_FALSE(report.passes);
  EXPECT_EQ(row(report, "r").op, "conv2d+relu");
  EXPECT_EQ(row(report, "r").device, "BPU");
  EXPECT_EQ(row(report, "r").dtype, "int8");
  EXPECT_EQ(row(report, "r").macs, 8 * 8 * 8 * 4 * 9);
  EXPECT_EQ(row(report, "s").device, "CPU");
  EXPECT_EQ(row(report, "s").code, "E001");
  EXPECT_EQ(row(report, "s").source, "net.py:5");
  EXPECT_EQ(report.macs, report.macs_on_bpu);
  const std::string text = report.to_string();
  EXPECT_THAT(text, HasSubstr("BAYES: does not pass\n  1 of 5 ops run on the CPU (E001 x1)"));
  EXPECT_THAT(text, HasSubstr("3 segments (BPU 2, CPU 1)"));
  EXPECT_THAT(text, HasSubstr("W105: the model is hybrid"));
  EXPECT_THAT(text, HasSubstr("MACs on the BPU: 100.0 %"));
}

TEST(CheckModelTest, AModelThatPasses) {
  const CheckReport report = check(quant_test::kConvReluLinear, March::BAYES);
  EXPECT_TRUE(report.passes) << report.to_string();
  EXPECT_THAT(report.to_string(), HasSubstr("1 segment (BPU 1, CPU 0), 0 copies"));
  const CheckReport small = check(quant_test::kConvReluLinear, March::BERNOULLI2);
  EXPECT_EQ(row(small, "fc").code, "E001");
  EXPECT_EQ(row(small, "flat").code, "E010");
  EXPECT_THAT(row(small, "flat").reason,
              HasSubstr("the number of dimensions is 2, BERNOULLI2 allows 4 only"));
}

// torch.zeros(x.size(0), 8), the first state of a recurrent net: no march has an op for it.
TEST(CheckModelTest, ATensorOfOneNumberIsAConstant) {
  const CheckReport report = check(R"(
module @a = linear(weight: f32[8,4], bias: none)
module @b = linear(weight: f32[8,8], bias: none)
graph (%x: f32[2,4]) {
  %a = linear @a(%x) : f32[2,8]
  %n = size(%a, 0) : int
  %zeros = zeros([%n, 8]) : f32[2,8]
  %b = linear @b(%zeros) : f32[2,8]
  %y = add(%a, %b) : f32[2,8]
  return %y
}
)",
                                   March::BAYES);
  EXPECT_TRUE(report.passes) << report.to_string();
  EXPECT_THAT(report.to_string(), HasSubstr("1 segment (BPU 1, CPU 0), 0 copies"));
}

TEST(CheckModelTest, AMarchWithoutAListSaysSo) {
  EXPECT_THAT(check(quant_test::kConvReluLinear, March::META).to_string(),
              HasSubstr("W106: META has no published op list; BAYES's is used, provisionally"));
}

TEST(CheckModelTest, FindingsNameUnfusedSharedAndWideWeights) {
  CheckOptions options;
  QatQConfigOptions wide;
  wide.weight_dtype = "qint16";
  options.qconfigs.module_name = {{"b", *get_default_qat_qconfig(wide)}};
  const CheckReport report = check(R"(
module @a = conv2d(weight: f32[4,4,1,1], bias: none)
module @b = conv2d(weight: f32[4,4,1,1], bias: none)
graph (%x: f32[1,4,8,8]) {
  %a = conv2d @a(%x) : f32[1,4,8,8]
  %a_1 = conv2d @a(%a) : f32[1,4,8,8]
  %r = relu(%a_1) : f32[1,4,8,8]
  %b = conv2d @b(%r) : f32[1,4,8,8]
  return (%b, %a_1)
}
)",
                                   March::BAYES, options);
  const std::string text = report.to_string();
  EXPECT_THAT(text, HasSubstr("W102: 'a' is called 2 times: %a, %a_1"));
  EXPECT_THAT(text, HasSubstr("W103: %b (conv2d) in 'b' has weights of 16 bits"));
  EXPECT_THAT(text, HasSubstr("W101: "));
}

TEST(CheckModelTest, PreviousOpWithoutActivationIsSaidNotRefused) {
  CheckOptions options;
  options.qconfigs.module_name = {{"a", std::nullopt}};
  const CheckReport report = check(R"(
module @a = conv2d(weight: f32[4,4,1,1], bias: none)
module @b = conv2d(weight: f32[4,4,1,1], bias: none)
graph (%x: f32[1,4,8,8]) {
  %a = conv2d @a(%x) : f32[1,4,8,8]
  %b = conv2d @b(%a) : f32[1,4,8,8]
  return %b
}
)",
                                   March::BAYES, options);
  EXPECT_FALSE(report.passes);
  EXPECT_THAT(report.to_string(),
              HasSubstr("E013 %b (conv2d) in 'b' runs on the BPU and reads %a"));
}

// softmax is the BPU's, and this library has no integers for it: nothing said so.
TEST(CheckModelTest, WhatIsComputedThroughFloatsIsListed) {
  const CheckReport report = check(R"(
module @a = conv2d(weight: f32[4,4,1,1], bias: none)
graph (%x: f32[1,4,8,8]) {
  %a = conv2d @a(%x) : f32[1,4,8,8]
  %s = softmax(%a, 1) : f32[1,4,8,8]
  return %s
}
)",
                                   March::BAYES);
  EXPECT_TRUE(report.passes) << report.to_string();
  EXPECT_EQ(row(report, "a").code, "");
  EXPECT_EQ(row(report, "s").code, "W107");
  EXPECT_EQ(row(report, "s").device, "BPU");
}

// A config that skips everything was checked as if it skipped nothing.
TEST(CheckModelTest, NoGlobalQConfigIsNone) {
  CheckOptions options;
  options.qconfigs.global = std::nullopt;
  const CheckReport report = check(kOneConv, March::BAYES, options);
  EXPECT_FALSE(report.passes);
  EXPECT_EQ(row(report, "a").device, "CPU");
  EXPECT_EQ(row(report, "a").code, "E002");
}

// argmax read 16 bits on BERNOULLI2, and max was shown with its own qconfig's width.
TEST(CheckModelTest, AnswersAndSharedScalesHaveTheWidthOfWhatTheyRead) {
  constexpr const char* kText = R"(
module @a = conv2d(weight: f32[4,4,1,1], bias: none)
graph (%x: f32[1,4,8,8]) {
  %a = conv2d @a(%x) : f32[1,4,8,8]
  %m = reshape(%a, [1,4,4,16]) : f32[1,4,4,16]
  %r = argmax(%m, 1, true) : i64[1,1,4,16]
  return %r
}
)";
  CheckOptions options;
  options.qconfigs.module_name = {{"a", *get_default_calib_qconfig("qint16")}};
  const CheckReport bayes = check(kText, March::BAYES, options);
  EXPECT_TRUE(bayes.passes) << bayes.to_string();
  EXPECT_EQ(row(bayes, "m").dtype, "int16");
  const CheckReport bernoulli2 = check(kText, March::BERNOULLI2);
  EXPECT_TRUE(bernoulli2.passes) << bernoulli2.to_string();
  const CheckReport wide = check(kText, March::BERNOULLI2, options);
  EXPECT_FALSE(wide.passes) << wide.to_string();
  EXPECT_EQ(row(wide, "r").device, "CPU");
}

TEST(CheckModelTest, WeightsOf16BitsDoNotPass) {
  CheckOptions options;
  QatQConfigOptions wide;
  wide.weight_dtype = "qint16";
  options.qconfigs.global = *get_default_qat_qconfig(wide);
  const CheckReport report = check(kOneConv, March::BAYES, options);
  EXPECT_FALSE(report.passes);
  EXPECT_THAT(report.to_string(),
              HasSubstr("1 op(s) have weights of 16 bits, which no march runs"));
}

// Its abs and sum were the BPU's, and only the comparison the CPU's.
TEST(CheckModelTest, WhatOnlyComputesAConditionIsOnTheCpu) {
  const CheckReport report = check(R"(
module @a = conv2d(weight: f32[4,4,1,1], bias: none)
graph (%x: f32[1,4,8,8]) {
  %a = conv2d @a(%x) : f32[1,4,8,8]
  %abs = abs(%a) : f32[1,4,8,8]
  %sum = sum(%abs, [1,2,3], true) : f32[1,1,1,1]
  %number = aten::item(%sum) : float
  %y = mul_scalar(%a, %number) : f32[1,4,8,8]
  return %y
}
)",
                                   March::BAYES);
  for (const char* name : {"abs", "sum"}) EXPECT_EQ(row(report, name).code, "E012") << name;
  EXPECT_EQ(row(report, "a").device, "BPU");
}

TEST(CheckModelTest, HybridDictIsForMarchesWithABpu) {
  CheckOptions options;
  options.hybrid_dict.module_name = {"a"};
  EXPECT_THAT(std::string(check_model(net(kIsland), March::CPU, {}, options).status().message()),
              HasSubstr("the march is CPU"));
}

// Without shapes no limit is known to be broken.
TEST(CheckModelTest, InputsGiveShapes) {
  const GraphModule untyped = net(R"(
module @fc = linear(weight: f32[4,8], bias: none)
graph (%x: tensor) {
  %p = permute(%x, [1,0]) : tensor
  %fc = linear @fc(%p) : tensor
  return %fc
}
)");
  EXPECT_TRUE(check_model(untyped, March::META, {})->rows[0].code.empty());
  const auto report = check_model(untyped, March::META, {quant_test::random({8, 2})});
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(row(*report, "p").code, "E010");
  EXPECT_EQ(row(*report, "fc").macs, 2 * 4 * 8);
}

TEST(CheckModelTest, CpuMarchCountsFloats) {
  const CheckReport report = check(kIsland, March::CPU);
  EXPECT_TRUE(report.passes) << report.to_string();
  EXPECT_EQ(report.partitions, "");
  EXPECT_THAT(report.to_string(), HasSubstr("MACs in integers: 100.0 %"));
}

Stages hybrid_stages(const std::string& text, March march = March::BAYES, HybridDict dict = {}) {
  StagesOptions options;
  options.prepare.march = march;
  options.prepare.hybrid = true;
  options.prepare.hybrid_dict = std::move(dict);
  return quantize_net(text, options);
}

TEST(CheckModelTest, PreparedAndConvertedGraphsToo) {
  const Stages stages = hybrid_stages(kIsland);
  for (const GraphModule* gm : {&stages.observed, &stages.quantized}) {
    const auto report = check_model(*gm, March::BAYES, {});
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_FALSE(report->passes);
    EXPECT_EQ(row(*report, "s").code, "E001");
    EXPECT_THAT(report->partitions, HasSubstr("3 segments (BPU 2, CPU 1)"));
  }
  EXPECT_THAT(std::string(check_model(stages.observed, March::META, {}).status().message()),
              HasSubstr("prepared for BAYES, not for META"));
}

// r (BPU) feeds s (CPU) and t (BPU); t can run with r or with m: two BPU segments, not three.
TEST(PartitionTest, SegmentsAreMaximalAndAcyclic) {
  const Stages stages = hybrid_stages(kIsland);
  const Partitions partitions = partition(stages.quantized);
  ASSERT_EQ(partitions.segments.size(), 3);
  EXPECT_EQ(partitions.segments[0].device, "BPU");
  EXPECT_EQ(partitions.segments[1].device, "CPU");
  EXPECT_EQ(partitions.segments[1].nodes.size(), 1);
  // r to the CPU (int8), s back (int8), and what of t and r crosses.
  ASSERT_GE(partitions.boundaries.size(), 3);
  for (const Boundary& boundary : partitions.boundaries) EXPECT_EQ(boundary.bytes, 512);
  EXPECT_THAT(partitions.to_string(), HasSubstr("%r 0 -> 1: 512 B"));
}

// Two branches with CPU ops in the same places: each pair of BPU ops is one segment.
TEST(PartitionTest, BranchesMerge) {
  const Stages stages = hybrid_stages(R"(
module @a = conv2d(weight: f32[4,4,1,1], bias: none)
module @b = conv2d(weight: f32[4,4,1,1], bias: none)
module @c = conv2d(weight: f32[4,4,1,1], bias: none)
state * = normal(5, 0.3)
graph (%x: f32[1,4,8,8], %z: f32[1,4,8,8]) {
  %a = conv2d @a(%x) : f32[1,4,8,8]
  %s = selu(%z) : f32[1,4,8,8]
  %b = conv2d @b(%s) : f32[1,4,8,8]
  %d = add(%a, %b) : f32[1,4,8,8]
  %e = selu(%d) : f32[1,4,8,8]
  %f = conv2d @c(%e) : f32[1,4,8,8]
  %g = mul(%f, %a) : f32[1,4,8,8]
  return %g
}
)");
  const Partitions partitions = partition(stages.quantized);
  EXPECT_EQ(partitions.count("BPU"), 2) << partitions.to_string();
  EXPECT_EQ(partitions.count("CPU"), 2) << partitions.to_string();
}

TEST(PartitionTest, ASegmentRunsAlone) {
  const Stages stages = hybrid_stages(kIsland);
  const auto whole = QuantizedGraph::from_graph_module(stages.quantized.copy());
  ASSERT_TRUE(whole.ok());
  const Partitions partitions = partition(whole->graph_module());
  const auto first = extract_segment(*whole, partitions, 0);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_THAT(first->inputs, ::testing::ElementsAre("x"));
  const auto result = first->model.forward(stages.input);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->toTupleRef().elements().size(), first->outputs.size());
  EXPECT_THAT(std::string(extract_segment(*whole, partitions, 9).status().message()),
              HasSubstr("there is no segment 9; the graph has 3"));
}

}  // namespace
}  // namespace fxq
