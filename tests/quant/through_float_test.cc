// Ops of the BPU marches that have no kernel of their own: within one step of the fake-quant graph.
#include <ATen/ops/equal.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fxq/graph/op_module.h"
#include "fxq/quant/compare.h"
#include "fxq/quant/first_difference.h"
#include "nets.h"

namespace fxq {
namespace {

using quant_test::quantize_net;
using quant_test::Stages;
using quant_test::StagesOptions;

struct BpuCase {
  const char* name;
  const char* body;  // uses %a, %b f32[2,8,8,8]; gives %y
  const char* dtype = "qint8";
  double steps = 1.0;
};

void PrintTo(const BpuCase& c, std::ostream* out) { *out << c.name; }

constexpr const char* kHead = R"(
module @a = conv2d(weight: f32[8,3,3,3], bias: f32[8], padding=[1,1])
module @b = conv2d(weight: f32[8,3,3,3], bias: f32[8], padding=[1,1])
module @prelu = prelu(weight: f32[8])
module @norm = layer_norm(weight: f32[8], bias: f32[8], normalized_shape=[8])
state * = normal(3, 0.3)
graph (%x: f32[2,3,8,8]) {
  %a = conv2d @a(%x) : f32[2,8,8,8]
  %b = conv2d @b(%x) : f32[2,8,8,8]
  )";

Stages stages_of(const BpuCase& c) {
  StagesOptions options;
  options.prepare.march = March::BAYES;
  options.qconfigs.global = *get_default_calib_qconfig(c.dtype);
  return quantize_net(std::string(kHead) + c.body + "\n  return %y\n}\n", options);
}

class BpuOpTest : public ::testing::TestWithParam<BpuCase> {};

TEST_P(BpuOpTest, OneStep) {
  const Stages stages = stages_of(GetParam());
  for (const OpStatus& op : stages.report.ops) {
    EXPECT_NE(op.mode, OpMode::kFloat) << op.node << " " << op.code << " " << op.reason;
  }
  const auto found =
      first_difference(stages.observed, stages.quantized, stages.input, GetParam().steps);
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_GE(found->compared, 2);
  EXPECT_EQ(found->node, "") << found->steps << " steps";
}

constexpr BpuCase kCases[] = {
    {"maximum", "%y = maximum(%a, %b) : f32[2,8,8,8]"},
    {"minimum16", "%y = minimum(%a, %b) : f32[2,8,8,8]", "qint16"},
    {"div16", "%e = exp(%b) : f32[2,8,8,8]\n %y = div(%a, %e) : f32[2,8,8,8]", "qint16"},
    {"softmax", "%y = softmax(%a, 1) : f32[2,8,8,8]"},
    {"softmax16", "%y = softmax(%a, 1) : f32[2,8,8,8]", "qint16"},
    {"layer_norm", "%y = layer_norm @norm(%a) : f32[2,8,8,8]"},
    {"glu", "%y = glu(%a, 1) : f32[2,4,8,8]"},
    {"sum", "%y = sum(%a, [1], true) : f32[2,1,8,8]"},
    {"matmul", "%y = matmul(%a, %b) : f32[2,8,8,8]"},
    {"bmm",
     "%p = reshape(%a, [2,8,64]) : f32[2,8,64]\n %q = reshape(%b, [2,64,8]) : f32[2,64,8]\n"
     " %y = bmm(%p, %q) : f32[2,8,8]"},
    {"expand",
     "%m = mean(%a, [2], true) : f32[2,8,1,8]\n %y = expand(%m, [2,8,4,8]) : f32[2,8,4,8]"},
    {"repeat", "%y = repeat(%a, [1,2,1,1]) : f32[2,16,8,8]"},
    {"topk",
     "%t = topk(%a, 3, 1) : (f32[2,3,8,8], i64[2,3,8,8])\n %y = getitem(%t, 0) : f32[2,3,8,8]"},
    {"max_dim",
     "%t = max_dim(%a, 1, true) : (f32[2,1,8,8], i64[2,1,8,8])\n %v = getitem(%t, 0) : "
     "f32[2,1,8,8]\n %y = tanh(%v) : f32[2,1,8,8]"},
    {"gather",
     "%t = topk(%b, 1, 1) : (f32[2,1,8,8], i64[2,1,8,8])\n %i = getitem(%t, 1) : i64[2,1,8,8]\n"
     " %y = gather(%a, 1, %i) : f32[2,1,8,8]"},
    {"grid_sample",
     "%g = tanh(%b) : f32[2,8,8,8]\n %p = permute(%g, [0,2,3,1]) : f32[2,8,8,8]\n"
     " %s = slice(%p, 3, 0, 2) : f32[2,8,8,2]\n"
     " %y = grid_sample(%a, %s, 0, 0, false) : f32[2,8,8,8]"},
    {"replicate", "%y = pad_mode(%a, [1,1,1,1], \"replicate\") : f32[2,8,10,10]"},
    {"prelu16", "%y = prelu @prelu(%a) : f32[2,8,8,8]", "qint16"},
    {"elementwise16",
     "%s = sigmoid(%a) : f32[2,8,8,8]\n %m = mul(%s, %b) : f32[2,8,8,8]\n"
     " %c = cat([%m,%a], 1) : f32[2,16,8,8]\n %y = add_scalar(%c, 1.5) : f32[2,16,8,8]",
     "qint16"},
    {"scaled_sum", "%y = add(%a, %b, alpha=2) : f32[2,8,8,8]"},
    {"computed_scalar", "%n = size(%a, 1) : int\n %y = div_scalar(%a, %n) : f32[2,8,8,8]"},
    {"padded_with_ones", "%y = pad(%a, [1,1], 1.0) : f32[2,8,8,10]"},
    {"pixel_shuffle", "%y = pixel_shuffle(%a, 2) : f32[2,2,16,16]"},
    {"conv16", "%y = add(%a, %b) : f32[2,8,8,8]", "qint16"},
};

INSTANTIATE_TEST_SUITE_P(All, BpuOpTest, ::testing::ValuesIn(kCases),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(BpuOpsTest, ComparisonsReadIntegersAndGiveTruthValues) {
  const Stages stages = stages_of({"", "%y = gt(%a, %b) : bool[2,8,8,8]"});
  EXPECT_EQ(stages.report.find("y")->mode, OpMode::kInt8);
  EXPECT_FALSE(stages.quantized.graph().find("y")->type.is_quantized());
  const auto whole = QuantizedGraph::from_graph_module(stages.quantized.copy());
  const auto result = whole->forward(stages.input);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->toTensor().scalar_type(), at::kBool);
}

TEST(BpuOpsTest, MatmulGivesItsAccumulator) {
  StagesOptions options;
  options.prepare.march = March::BAYES;
  options.qconfigs.module_name = {{"out", *get_default_qat_out_qconfig()}};
  const Stages stages = quantize_net(
      std::string(kHead) +
          "%y = matmul(%a, %b) : f32[2,8,8,8] {owner=\"out\", class=\"Out\"}\n  return %y\n}\n",
      options);
  EXPECT_FALSE(stages.quantized.graph().find("y")->type.is_quantized());
  const auto whole = QuantizedGraph::from_graph_module(stages.quantized.copy());
  const auto result = whole->forward(stages.input);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_GT(*sqnr_db(*stages.observed.forward(stages.input), *result), 40.0);
}

// The test that finds the first op that departs: here one with a wrong weight.
TEST(FirstDifferenceTest, NamesTheFirstOp) {
  Stages stages = quantize_net(quant_test::kConvReluLinear);
  const auto none = first_difference(stages.observed, stages.quantized, stages.input, 1.0);
  ASSERT_TRUE(none.ok()) << none.status();
  EXPECT_EQ(none->node, "");
  OpModule& fc = *stages.quantized.op_module(*stages.quantized.graph().find("fc"));
  fc.set_tensor("weight", fc.tensor("weight").neg());
  const auto found = first_difference(stages.observed, stages.quantized, stages.input, 1.0);
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->node, "fc");
  EXPECT_GT(found->steps, 1.0);
}

}  // namespace
}  // namespace fxq
