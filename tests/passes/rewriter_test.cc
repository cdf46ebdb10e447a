// Rule order, conditions, and the cost of the work list.
#include "fxq/passes/rewriter.h"

#include <gmock/gmock.h>

#include "fxq/passes/fuse_rules.h"
#include "fxq/passes/recompose.h"
#include "graph_of.h"

namespace fxq {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr const char* kGate = R"(graph (%x: f32[N,3]) {
  %a = sigmoid(%x)
  %y = mul(%x, %a)
  %z = relu(%y)
  return %z
}
)";

RewriteStats rewritten(GraphModule& gm, const RuleSet& rules) {
  auto stats = rewrite(gm, rules);
  EXPECT_TRUE(stats.ok()) << stats.status();
  EXPECT_TRUE(verify(gm).ok()) << verify(gm);
  return stats.ok() ? *stats : RewriteStats();
}

TEST(RewriterTest, LongestPatternFirst) {
  using namespace pat;
  const Pat x;
  const RuleSet rules{
      {"short", Mul(x, Sigmoid(x)), Silu(x)},
      {"long", Relu(Mul(x, Sigmoid(x))), Tanh(x)},
  };
  GraphModule gm = graph_of(kGate);
  EXPECT_EQ(rewritten(gm, rules).rewrites, 1);
  EXPECT_EQ(body_of(gm), "  %z = tanh(%x)\n  return %z\n");
}

TEST(RewriterTest, WrittenOrderAmongEqualLengths) {
  using namespace pat;
  const Pat x;
  const RuleSet rules{{"first", Sigmoid(x), Tanh(x)}, {"second", Sigmoid(x), Relu(x)}};
  GraphModule gm = graph_of("graph (%x) {\n  %y = sigmoid(%x)\n  return %y\n}\n");
  rewritten(gm, rules);
  EXPECT_EQ(body_of(gm), "  %y = tanh(%x)\n  return %y\n");
}

TEST(RewriterTest, ANewFitAboveIsSeen) {
  using namespace pat;
  const Pat x;
  // The outer rule fits only after the inner one has been applied below it.
  const RuleSet rules{{"inner", Exp(x), Sigmoid(x)}, {"outer", Relu(Sigmoid(x)), Tanh(x)}};
  GraphModule gm = graph_of("graph (%x) {\n  %e = exp(%x)\n  %r = relu(%e)\n  return %r\n}\n");
  EXPECT_EQ(rewritten(gm, rules).rewrites, 2);
  EXPECT_EQ(body_of(gm), "  %r = tanh(%x)\n  return %r\n");
}

TEST(RewriterTest, RightSideMayBeAWildcard) {
  using namespace pat;
  const Pat x;
  const RuleSet rules{{"relu_relu", Relu(Relu(x)), Relu(x)}, {"neg_neg", Neg(Neg(x)), x}};
  GraphModule gm = graph_of(
      "graph (%x) {\n  %a = neg(%x)\n  %b = neg(%a)\n  %c = relu(%b)\n  %d = relu(%c)\n"
      "  %e = relu(%d)\n  return (%b, %e)\n}\n");
  EXPECT_EQ(rewritten(gm, rules).rewrites, 3);
  EXPECT_EQ(body_of(gm), "  %e = relu(%x)\n  return (%x, %e)\n");
}

TEST(RewriterTest, AttributesAndConditions) {
  using namespace pat;
  const Pat x, y;
  const auto is_batch = [](const GraphModule&, const Node& node) { return node.type.rank() == 4; };
  const RuleSet rules{
      {"double", Add(x, y).attr("alpha", 2), Mul(x, y)},
      {"pool", MaxPool2d(x).any_attrs().where("of 4 dimensions", is_batch), Relu(x)},
  };
  GraphModule gm = graph_of(R"(graph (%x: f32[3,8,8]) {
  %a = add(%x, %x, alpha=2)
  %b = add(%a, %x, alpha=3)
  %c = max_pool2d(%b, [2,2]) : f32[3,4,4]
  return %c
}
)");
  EXPECT_EQ(rewritten(gm, rules).rewrites, 1);
  EXPECT_EQ(body_of(gm),
            "  %a = mul(%x, %x)\n  %b = add(%a, %x, alpha=3)\n"
            "  %c = max_pool2d(%b, [2,2]) : f32[3,4,4]\n  return %c\n");
  EXPECT_THAT(gm.notes, ElementsAre("double at %b: alpha of %b is 3, not 2",
                                    "pool at %c: %c: not of 4 dimensions"));
}

TEST(RewriterTest, ManyUsersStays) {
  using namespace pat;
  const Pat x;
  const RuleSet rules{{"gate", Mul(x, Sigmoid(x).many_users()), Silu(x)}};
  GraphModule gm =
      graph_of("graph (%x) {\n  %a = sigmoid(%x)\n  %y = mul(%x, %a)\n  return (%y, %a)\n}\n");
  EXPECT_EQ(rewritten(gm, rules).rewrites, 1);
  EXPECT_EQ(body_of(gm), "  %a = sigmoid(%x)\n  %y = silu(%x)\n  return (%y, %a)\n");
}

TEST(RewriterTest, RulesPrintThemselves) {
  EXPECT_EQ(recompose_rules().to_string(),
            "channel_shuffle: reshape(transpose(reshape(a))) -> channel_shuffle(a)\n"
            "silu: mul(a, sigmoid(a)) -> silu(a)\n"
            "hardswish: mul(a, hardsigmoid(a)) -> hardswish(a)\n");
  EXPECT_THAT(fusion_rules().to_string(),
              ::testing::HasSubstr("weighted_add_activation: activation(add(weighted(a), b)) -> "
                                   "weighted(a) + b, activation\n"));
}

// relu(add(sigmoid(x), x)) repeated: most nodes root a rule, half of the rewrites enable another.
GraphModule chain(int length) {
  GraphModule gm;
  Node* value = gm.graph().placeholder("x");
  value->type = Type::tensor(DType::kF32, {4});
  for (int i = 0; i < length; ++i) {
    Node* sum =
        gm.graph().call_op(OpId::kAdd, {value, gm.graph().call_op(OpId::kSigmoid, {value})});
    value = gm.graph().call_op(OpId::kRelu, {sum});
  }
  gm.graph().output(value);
  return gm;
}

TEST(RewriterTest, WorkIsLinearInNodes) {
  for (const int length : {1'000, 33'000}) {
    GraphModule gm = chain(length);
    const auto nodes = static_cast<int64_t>(gm.graph().size());
    auto stats = rewrite(gm, fusion_rules());
    ASSERT_TRUE(stats.ok()) << stats.status();
    EXPECT_EQ(stats->rewrites, length);
    EXPECT_LE(stats->steps, 4 * nodes);
    EXPECT_EQ(static_cast<int64_t>(gm.graph().size()), nodes - length);
    EXPECT_THAT(gm.notes, IsEmpty());
  }
}

}  // namespace
}  // namespace fxq
