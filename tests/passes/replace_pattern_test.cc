// What the golden cases cannot say: filters, callbacks, captures by name, counting and overlaps.
#include "fxq/passes/replace_pattern.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "fxq/graph/view.h"
#include "fxq/passes/registry.h"
#include "graph_of.h"

namespace fxq {
namespace {

constexpr const char* kClamps = R"(
graph (%x: f32[N,3]) {
  %a = clamp(%x, 0.25, 0.75)
  %b = clamp(%a, -1.0, 1.0)
  %c = relu(%b)
  return %c
})";

constexpr const char* kClamp =
    "graph (%x, %low, %high) {\n  %c = clamp(%x, %low, %high)\n  return %c\n}";

TEST(FindMatches, NamesEverythingByThePatternsNames) {
  const GraphModule gm = graph_of(kClamps);
  const auto matches = find_matches(gm, graph_of(kClamp));
  ASSERT_TRUE(matches.ok()) << matches.status();
  ASSERT_EQ(matches->size(), 2u);
  const PatternMatch& first = (*matches)[0];
  EXPECT_EQ(first.call("c"), gm.graph().find("a"));
  EXPECT_EQ(first.anchors, std::vector<Node*>{gm.graph().find("a")});
  EXPECT_EQ(first.input("x").node(), gm.graph().find("x"));
  EXPECT_EQ(first.input("low"), Argument(0.25));
  EXPECT_EQ(first.input("high"), Argument(0.75));
  EXPECT_EQ(first.call("nothing"), nullptr);
  EXPECT_TRUE(first.input("nothing").is_none());
  EXPECT_TRUE(first.contains(gm.graph().find("a")));
  EXPECT_FALSE(first.contains(gm.graph().find("b")));
}

TEST(ReplacePattern, FiltersSeeWhatIsBound) {
  GraphModule gm = graph_of(kClamps);
  ReplaceOptions options;
  options.match.filters = {[](const GraphModule&, const PatternMatch& match) {
    return match.input("low") == Argument(-1.0);
  }};
  const auto made = replace_pattern(
      gm, kClamp, "graph (%x, %low, %high) {\n  %h = hardtanh(%x, %low, %high)\n  return %h\n}",
      options);
  ASSERT_TRUE(made.ok()) << made.status();
  ASSERT_EQ(made->size(), 1u);
  EXPECT_EQ((*made)[0].results, std::vector<Node*>{gm.graph().find("b")});
  EXPECT_EQ((*made)[0].added, std::vector<Node*>{gm.graph().find("b")});
  EXPECT_EQ(body_of(gm), R"(  %a = clamp(%x, 0.25, 0.75)
  %b = hardtanh(%a, -1.0, 1.0)
  %c = relu(%b)
  return %c
)");
  EXPECT_TRUE(verify(gm).ok()) << verify(gm);
}

TEST(ReplacePattern, ACallbackMakesEachReplacement) {
  GraphModule gm = graph_of(kClamps);
  ReplaceOptions options;
  options.replacement = [](const GraphModule&,
                           const PatternMatch& match) -> absl::StatusOr<GraphModule> {
    const double low = match.input("low").get<double>();
    return parse_text(fmt::format(
        "graph (%x, %low, %high) {{\n  %m = aten::clamp_min(%x, {})\n  return %m\n}}", low * 2));
  };
  std::vector<std::string> seen;
  options.on_replaced = [&](GraphModule& changed, const Replacement& made) {
    for (Node* node : made.added) {
      seen.push_back(node->name());
      node->type = Type::tensor(DType::kF32);
    }
    return verify(changed);
  };
  const auto made = replace_pattern(gm, graph_of(kClamp), options);
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_EQ(seen, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(body_of(gm), R"(  %a = clamp_min(%x, 0.5) : f32[...]
  %b = clamp_min(%a, -2) : f32[...]
  %c = relu(%b)
  return %c
)");
}

TEST(ReplacePattern, ACallbackThatFailsLeavesAWholeGraph) {
  GraphModule gm = graph_of(kClamps);
  ReplaceOptions options;
  options.replacement = [](const GraphModule&,
                           const PatternMatch& match) -> absl::StatusOr<GraphModule> {
    if (match.input("low") == Argument(-1.0)) return absl::InvalidArgumentError("not this one");
    return parse_text("graph (%x, %low, %high) {\n  %m = sigmoid(%x)\n  return %m\n}");
  };
  const auto made = replace_pattern(gm, graph_of(kClamp), options);
  EXPECT_EQ(made.status().message(), "not this one");
  EXPECT_TRUE(verify(gm).ok()) << verify(gm);
  EXPECT_EQ(gm.graph().find("a")->op(), OpId::kSigmoid);
}

TEST(FindMatches, OverlapsAreCountedOnRequest) {
  const GraphModule gm = graph_of(R"(
graph (%x: f32[N,3]) {
  %a = neg(%x)
  %b = neg(%a)
  %c = neg(%b)
  %d = neg(%c)
  return %d
})");
  const GraphModule pair = graph_of("graph (%x) {\n  %a = neg(%x)\n  %b = neg(%a)\n  return %b\n}");
  MatchOptions options;
  EXPECT_EQ(find_matches(gm, pair, options)->size(), 2u);
  options.overlapping = true;
  EXPECT_EQ(find_matches(gm, pair, options)->size(), 3u);
}

TEST(FindMatches, ASumOfSumsThatFitsInTooManyWaysIsRefused) {
  std::string pattern = "graph (%p0";
  std::string target = "graph (%x: f32[N,3]";
  for (int i = 1; i < 64; ++i) pattern += fmt::format(", %p{}", i);
  pattern += ") {\n";
  target += ") {\n";
  for (int level = 32, from = 0; level >= 1; level /= 2) {
    for (int i = 0; i < level; ++i) {
      const bool first = level == 32;
      const int a = from + 2 * i;
      pattern += first ? fmt::format("  %s{}_{} = add(%p{}, %p{})\n", level, i, 2 * i, 2 * i + 1)
                       : fmt::format("  %s{}_{} = add(%s{}_{}, %s{}_{})\n", level, i, level * 2, a,
                                     level * 2, a + 1);
      target += first ? fmt::format("  %s{}_{} = add(%x, %x)\n", level, i)
                      : fmt::format("  %s{}_{} = add(%s{}_{}, %s{}_{})\n", level, i, level * 2, a,
                                    level * 2, a + 1);
    }
    from = 0;
  }
  pattern += "  return %s1_0\n}";
  target += "  return %s1_0\n}";
  MatchOptions options;
  options.filters = {[](const GraphModule&, const PatternMatch&) { return false; }};
  const auto matches = find_matches(graph_of(target), graph_of(pattern), options);
  ASSERT_FALSE(matches.ok());
  EXPECT_EQ(
      matches.status().message(),
      "the pattern fits in too many ways at %s1_0: give it fewer operands that can be swapped, "
      "or match its parts one by one");
}

TEST(ReplacePattern, APatIsARuleSetOfOne) {
  GraphModule gm = graph_of(R"(
graph (%x: f32[N,3]) {
  %a = neg(%x)
  %b = neg(%a)
  %c = relu(%b)
  return %c
})");
  using namespace pat;
  const Pat x;
  const auto stats = replace_pattern(gm, Neg(Neg(x)), x);
  ASSERT_TRUE(stats.ok()) << stats.status();
  EXPECT_EQ(stats->rewrites, 1);
  EXPECT_EQ(body_of(gm), "  %c = relu(%x)\n  return %c\n");
}

TEST(Rewrite, ARuleThatFitsItsOwnResultEnds) {
  GraphModule gm = graph_of("graph (%x: f32[N,3]) {\n  %a = relu(%x)\n  return %a\n}");
  using namespace pat;
  const Pat x;
  const auto stats = replace_pattern(gm, Relu(x), Relu(Neg(x)));
  ASSERT_FALSE(stats.ok());
  EXPECT_EQ(stats.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(stats.status().message().find("fits its own result"), std::string::npos)
      << stats.status();
}

}  // namespace
}  // namespace fxq
