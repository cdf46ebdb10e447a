// The cells and limits of the BPU marches, against the published lists, op by op and bound by
// bound.
#include "fxq/quant/march.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "fxq/base/file.h"
#include "fxq/quant/march_limits.h"
#include "fxq/quant/reason_codes.h"
#include "nets.h"

namespace fxq {
namespace {

using quant_test::net;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr uint8_t k8 = kQ8, k816 = kQ8 | kQ16, k16 = kQ16, kNo = kQNone;

struct Cell {
  const char* op;
  uint8_t bernoulli2, bayes;
};

// The published table, by the names of the op table's rows.
constexpr Cell kPublished[] = {
    {"add", k816, k816},
    {"sub", k816, k816},
    {"mul", k816, k816},
    {"add_scalar", kNo, k816},
    {"mul_scalar", kNo, k816},
    {"maximum", kNo, k816},
    {"minimum", kNo, k816},
    {"clamp", kNo, k816},
    {"abs", kNo, k816},
    {"gt", kNo, k816},
    {"ge_scalar", kNo, k816},
    {"eq", kNo, k816},
    {"ne_scalar", kNo, k816},
    {"lt", kNo, k816},
    {"le", kNo, k816},
    {"topk", kNo, k816},
    {"gather", kNo, k816},
    {"floor", kNo, k816},
    {"ceil", kNo, k816},
    {"matmul", k8, k8},
    {"bmm", k8, k8},
    {"cat", k816, k816},
    {"split", k816, k816},
    {"chunk", k816, k816},
    {"mean", k8, k8},
    {"sum", k8, k8},
    {"max_dim", k8, k816},
    {"argmax", k8, k816},
    {"conv2d", k8, k816},
    {"conv3d", kNo, k8},
    {"conv1d", kNo, kNo},
    {"linear", kNo, k8},
    {"conv_transpose2d", k8, k8},
    {"avg_pool2d", k8, k8},
    {"max_pool2d", k8, k8},
    {"adaptive_avg_pool2d", kNo, k8},
    {"upsample_nearest2d", k8, k8},
    {"upsample_bilinear2d", k8, k8},
    {"grid_sample", kNo, k8},
    {"roi_align", k8, k8},
    {"sigmoid", k8, k816},
    {"tanh", k8, k816},
    {"silu", k8, k816},
    {"gelu", k8, k816},
    {"exp", k8, k816},
    {"leaky_relu", kNo, k816},
    {"prelu", kNo, k816},
    {"elu", kNo, k816},
    {"softplus", kNo, k816},
    {"glu", kNo, k816},
    {"sin", kNo, k816},
    {"cos", kNo, k816},
    {"sqrt", kNo, k816},
    {"pow", kNo, k816},
    {"log", kNo, k816},
    {"reciprocal", kNo, k816},
    {"erf", kNo, k816},
    {"div", kNo, k16},
    {"softmax", kNo, k816},
    {"layer_norm", kNo, k816},
    {"relu", k8, k816},
    {"relu6", k8, k816},
    {"pad", k8, k816},
    {"reshape", k816, k816},
    {"flatten", k816, k816},
    {"transpose", kNo, k816},
    {"permute", kNo, k816},
    {"expand", kNo, k816},
    {"repeat", kNo, k816},
    {"selu", kNo, kNo},
    {"mish", kNo, kNo},
    {"hardswish", kNo, kNo},
    {"group_norm", kNo, kNo},
    {"instance_norm", kNo, kNo},
    {"reflection_pad2d", kNo, kNo},
    {"lstm", kNo, kNo},
    {"embedding", kNo, kNo},
    {"einsum", kNo, kNo},
};

TEST(MarchTest, CellsAreThePublishedOnes) {
  for (const Cell& cell : kPublished) {
    const OpId op = op_from_name(cell.op);
    ASSERT_NE(op, OpId::kNone) << cell.op;
    EXPECT_EQ(march_bits(March::BERNOULLI2, op_def(op)), cell.bernoulli2) << cell.op;
    EXPECT_EQ(march_bits(March::BAYES, op_def(op)), cell.bayes) << cell.op;
    EXPECT_EQ(march_bits(March::META, op_def(op)), cell.bayes) << cell.op;
  }
  const OpDef& matmul = op_def(op_from_name("matmul"));
  EXPECT_EQ(march_out_bits(March::BAYES, matmul), k816);
  EXPECT_EQ(march_out_bits(March::BERNOULLI2, matmul), k8);
}

// A cell promises integers: a rule that says how, and limits that exist.
TEST(MarchTest, RowsWithACellRunInIntegers) {
  std::set<std::string_view> families;
  for (const MarchLimit& limit : march_limits()) families.insert(limit.family);
  for (const OpDef& row : op_table()) {
    if ((row.bernoulli2 | row.bayes) != 0 && row.name != "dequant_stub") {
      EXPECT_NE(row.rule, Rule::kFloatOnly) << row.name;
    }
    if (!row.limits.empty()) {
      EXPECT_EQ(families.count(row.limits), 1) << row.name;
    }
  }
  std::set<std::string_view> used{"Any"};
  for (const OpDef& row : op_table()) used.insert(row.limits);
  for (std::string_view family : families) EXPECT_EQ(used.count(family), 1) << family;
}

std::vector<std::string> broken(March march, const std::string& text) {
  const GraphModule gm = net(text);
  return broken_limits(march, OpView(gm, gm.graph().find("y")));
}

std::string conv(int kernel, int in, int out, int dilation, int groups) {
  const std::string pad = std::to_string(kernel / 2 * dilation);
  const std::string k = std::to_string(kernel), d = std::to_string(dilation);
  const std::string width = std::to_string(in);
  return "module @c = conv2d(weight: f32[" + std::to_string(out) + "," +
         std::to_string(in / groups) + "," + k + "," + k + "], bias: none, padding=[" + pad + "," +
         pad + "], dilation=[" + d + "," + d + "], groups=" + std::to_string(groups) +
         ")\ngraph (%x: f32[1," + width + ",64,64]) {\n  %y = conv2d @c(%x) : f32[1," +
         std::to_string(out) + ",64,64]\n  return %y\n}\n";
}

TEST(MarchTest, ConvolutionLimits) {
  EXPECT_THAT(broken(March::BERNOULLI2, conv(7, 4, 4, 1, 1)), IsEmpty());
  EXPECT_THAT(broken(March::BERNOULLI2, conv(9, 4, 4, 1, 1)),
              ElementsAre("kernel size is 9, BERNOULLI2 allows 1 to 7"));
  EXPECT_THAT(broken(March::BERNOULLI2, conv(3, 4, 4, 3, 1)),
              ElementsAre("dilation is 3, BERNOULLI2 allows 1, 2 or 4"));
  EXPECT_THAT(broken(March::BERNOULLI2, conv(1, 2048, 4, 1, 1)), IsEmpty());
  EXPECT_THAT(broken(March::BERNOULLI2, conv(1, 2049, 4, 1, 1)),
              ElementsAre("the number of channels per group is 2049, BERNOULLI2 allows 1 to 2048"));
  EXPECT_THAT(broken(March::BERNOULLI2, conv(1, 4096, 4, 1, 2)), IsEmpty());
  EXPECT_THAT(broken(March::BAYES, conv(31, 4, 4, 1, 1)), IsEmpty());
  EXPECT_THAT(broken(March::META, conv(32, 4, 4, 1, 1)),
              ElementsAre("kernel size is 32, META allows 1 to 31"));
  EXPECT_THAT(broken(March::BAYES, conv(3, 4, 8193, 17, 1)),
              ElementsAre("the number of channels is 8193, BAYES allows 1 to 8192",
                          "dilation is 17, BAYES allows 1 to 16"));
  EXPECT_THAT(broken(March::CPU, conv(32, 4, 8193, 17, 1)), IsEmpty());
}

std::string call(const std::string& inputs, const std::string& body) {
  return "graph (" + inputs + ") {\n  " + body + "\n  return %y\n}\n";
}

struct LimitCase {
  March march;
  const char* inputs;
  const char* body;
  const char* broken;  // nullptr: none
};

constexpr LimitCase kLimits[] = {
    {March::BERNOULLI2, "%x: f32[1,4,8,8]", "%y = avg_pool2d(%x, [7,7], [185,185]) : f32[1,4,1,1]",
     nullptr},
    {March::BERNOULLI2, "%x: f32[1,4,9,9]", "%y = avg_pool2d(%x, [8,8], [1,1]) : f32[1,4,2,2]",
     "kernel size is 8, BERNOULLI2 allows 1 to 7"},
    {March::BERNOULLI2, "%x: f32[1,4,9,9]", "%y = avg_pool2d(%x, [1,1], [186,1]) : f32[1,4,1,9]",
     "stride is 186, BERNOULLI2 allows 1 to 185"},
    {March::BERNOULLI2, "%x: f32[1,4,65,65]", "%y = max_pool2d(%x, [65,65]) : f32[1,4,1,1]",
     "kernel size is 65, BERNOULLI2 allows 1 to 64"},
    {March::BAYES, "%x: f32[1,4,65,65]", "%y = max_pool2d(%x, [65,65], [257,1]) : f32[1,4,1,1]",
     "stride is 257, BAYES allows 1 to 256"},
    {March::BERNOULLI2, "%x: f32[1,4,8,8], %z: f32[1,4,1,1]", "%y = mul(%x, %z) : f32[1,4,8,8]",
     "the number of operands that are broadcast is 1, BERNOULLI2 allows 0 only"},
    {March::BAYES, "%x: f32[1,4,8,8], %z: f32[1,4,1,1]", "%y = mul(%x, %z) : f32[1,4,8,8]",
     nullptr},
    {March::BAYES, "%x: f32[2,4,8,8], %z: f32[1,4,8,8]", "%y = mul(%x, %z) : f32[2,4,8,8]",
     "an operand is broadcast over the batch, which BAYES does not allow"},
    {March::BAYES, "%x: f32[1,4,8,1], %z: f32[1,4,1,8]", "%y = add(%x, %z) : f32[1,4,8,8]",
     "the number of operands that are broadcast is 2, BAYES allows 0 to 1"},
    {March::BERNOULLI2, "%x: f32[1,2049,8,8]", "%y = add(%x, %x) : f32[1,2049,8,8]",
     "the number of channels is 2049, BERNOULLI2 allows 1 to 2048"},
    {March::BERNOULLI2, "%x: f32[1,4,8]", "%y = add(%x, %x) : f32[1,4,8]",
     "the number of dimensions is 3, BERNOULLI2 allows 4 only"},
    {March::BAYES, "%x: f32[4097,4]", "%y = add(%x, %x) : f32[4097,4]",
     "the batch size is 4097, BAYES allows 0 to 4096"},
    {March::BAYES, "%x: f32[1,65537]", "%y = add(%x, %x) : f32[1,65537]",
     "a dimension's size is 65537, BAYES allows 0 to 65536"},
    {March::BAYES, "%x: f32[1,4,8,8]", "%y = cat([%x], 1) : f32[1,4,8,8]",
     "the number of inputs is 1, BAYES allows 2 to 1024"},
    {March::BERNOULLI2, "%x: f32[1,4,8,8]", "%y = mean(%x, [1], true) : f32[1,1,8,8]", nullptr},
    {March::BERNOULLI2, "%x: f32[1,4,8,8]", "%y = mean(%x, [2,3], true) : f32[1,4,1,1]",
     "a dimension that it reduces is 2, BERNOULLI2 allows 1 only"},
    {March::BERNOULLI2, "%x: f32[1,4,8,8]", "%y = sum(%x, [0,1], true) : f32[1,1,8,8]", nullptr},
    {March::BAYES, "%x: f32[1,4,8,8]", "%y = sum(%x, [-1], true) : f32[1,4,8,1]", nullptr},
    {March::BAYES, "%x: f32[1,4,8,8]", "%y = mean(%x, [0], true) : f32[1,4,8,8]",
     "a dimension that it reduces is 0, BAYES allows 1, 2 or 3"},
    {March::BAYES, "%x: f32[1,4,8,8]", "%y = permute(%x, [0,2,3,1]) : f32[1,8,8,4]", nullptr},
    {March::BAYES, "%x: f32[1,4,8,8]", "%y = permute(%x, [1,0,2,3]) : f32[4,1,8,8]",
     "it moves dimension 0, the batch, which BAYES does not allow"},
    {March::BAYES, "%x: f32[1,4,8,8]", "%y = transpose(%x, -4, 1) : f32[4,1,8,8]",
     "it moves dimension 0, the batch, which BAYES does not allow"},
    {March::BERNOULLI2, "%x: f32[1,4,8,8]", "%y = reshape(%x, [1,4,4,16]) : f32[1,4,4,16]",
     nullptr},
    {March::BERNOULLI2, "%x: f32[1,4,8,8]", "%y = reshape(%x, [1,8,4,8]) : f32[1,8,4,8]",
     "it changes more than H and W, which BERNOULLI2 does not allow"},
    {March::BERNOULLI2, "%x: f32[1,4,8,8]",
     "%y = upsample_bilinear2d(%x, none, true, [2.0,2.0]) : f32[1,4,16,16]", nullptr},
    {March::BAYES, "%x: f32[1,4,8,8]",
     "%y = upsample_bilinear2d(%x, none, true, [2.0,2.0]) : f32[1,4,16,16]",
     "align_corners is true, which BAYES does not allow"},
    {March::BAYES, "%x: f32[1,4,1,1]",
     "%y = upsample_nearest2d(%x, [257,257], none) : f32[1,4,257,257]",
     "the ratio of sizes is 257, BAYES allows 0.00390625 to 256"},
    {March::BAYES, "%x: f32[1,4,8,8], %g: f32[1,8,8,2]",
     "%y = grid_sample(%x, %g, 0, 2, false) : f32[1,4,8,8]",
     "padding_mode (0 zeros, 1 border, 2 reflection) is 2, BAYES allows 0 or 1"},
    {March::BAYES, "%x: f32[1,4,8,8]", "%y = pad_mode(%x, [1,1], \"reflect\") : f32[1,4,8,10]",
     "it pads by reflection, which BAYES does not allow"},
    {March::BERNOULLI2, "%x: f32[1,4,8,8]", "%y = argmax(%x, 1, true) : i64[1,1,8,8]", nullptr},
};

TEST(MarchTest, LimitsOfOtherOps) {
  for (const LimitCase& c : kLimits) {
    const auto found = broken(c.march, call(c.inputs, c.body));
    if (c.broken) {
      EXPECT_THAT(found, ElementsAre(c.broken)) << c.body;
    } else {
      EXPECT_THAT(found, IsEmpty()) << c.body;
    }
  }
}

// The index of a maximum may only leave the model; on BERNOULLI2 the value too.
TEST(MarchTest, ResultsThatMayOnlyLeave) {
  const GraphModule gm = net(R"(
graph (%x: f32[1,4,8,8]) {
  %y = max_dim(%x, 1, true) : (f32[1,1,8,8], i64[1,1,8,8])
  %v = getitem(%y, 0) : f32[1,1,8,8]
  %i = getitem(%y, 1) : i64[1,1,8,8]
  %r = relu(%v) : f32[1,1,8,8]
  return (%r, %i)
}
)");
  const OpView view(gm, gm.graph().find("y"));
  EXPECT_THAT(broken_limits(March::BAYES, view), IsEmpty());
  EXPECT_THAT(broken_limits(March::BERNOULLI2, view),
              ElementsAre("its result is read inside of the model, not only returned, which "
                          "BERNOULLI2 does not allow"));
}

// A march that has attention has it as its own code is written.
TEST(MarchTest, LimitsOfMovesDoNotHoldWithinAttention) {
  const std::string inside =
      call("%x: f32[6,2,8]",
           "%y = transpose(%x, 0, 1) : f32[2,6,8] "
           "{owner=\"a\", class=\"torch.nn.modules.activation.MultiheadAttention\"}");
  EXPECT_THAT(broken(March::BAYES, inside), IsEmpty());
  const std::string somebody_elses = call("%x: f32[6,2,8]",
                                          "%y = transpose(%x, 0, 1) : f32[2,6,8] "
                                          "{owner=\"a\", class=\"__main__.MultiheadAttention\"}");
  EXPECT_THAT(broken(March::BAYES, somebody_elses), Not(IsEmpty()));
  EXPECT_THAT(broken(March::BAYES, call("%x: f32[6,2,8]", "%y = transpose(%x, 0, 1) : f32[2,6,8]")),
              ElementsAre("it moves dimension 0, the batch, which BAYES does not allow"));
}

TEST(MarchTest, UnknownShapesBreakNoLimit) {
  EXPECT_THAT(broken(March::BERNOULLI2, call("%x: tensor", "%y = add(%x, %x) : tensor")),
              IsEmpty());
  EXPECT_THAT(
      broken(March::BAYES, call("%x: f32[N,4], %z: f32[N,4]", "%y = add(%x, %z) : f32[N,4]")),
      IsEmpty());
}

TEST(MarchTest, NamesAndDefault) {
  EXPECT_EQ(get_march(), March::CPU);
  set_march(March::BAYES);
  EXPECT_EQ(PrepareOptions().march, March::BAYES);
  set_march(March::CPU);
  for (March march : {March::BERNOULLI2, March::BAYES, March::META, March::CPU}) {
    EXPECT_EQ(march_from_name(march_name(march)), march);
    EXPECT_EQ(has_bpu(march), march != March::CPU);
  }
}

TEST(ReasonCodesTest, DocumentedAndUnique) {
  std::set<std::string_view> seen;
  for (const ReasonCode& row : reason_codes()) {
    EXPECT_TRUE(seen.insert(row.code).second) << row.code;
    EXPECT_GT(row.explanation.size(), 40) << row.code;
  }
  EXPECT_EQ(find_reason_code("E999"), nullptr);
  const auto page = read_file(std::string(FXQ_SOURCE_DIR) + "/docs/reason-codes.md");
  ASSERT_TRUE(page.ok()) << page.status();
  EXPECT_EQ(*page, reason_codes_page()) << "make docs/reason-codes.md anew";
}

}  // namespace
}  // namespace fxq
