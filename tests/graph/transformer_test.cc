// Transformer, graph_copy and the smaller edits: what torch.fx's own tests ask of theirs.
#include "fxq/graph/transformer.h"

#include <ATen/ops/equal.h>
#include <ATen/ops/neg.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>

#include "fxq/graph/text.h"
#include "fxq/graph/verifier.h"
#include "parsed.h"

namespace fxq {
namespace {

using graph_test::parsed;

constexpr const char* kModel = R"(
module @fc = linear(weight: f32[3,3], bias: f32[3])
parameter @shift : f32[3]
state * = normal(7)
graph (%x: f32[N,3]) {
  %shift = get_attr @shift
  %y = linear @fc(%x)
  %a = add(%y, %shift)
  %r = relu(%a)
  return (%r, %a)
})";

TEST(Transformer, WithoutOverridesItCopies) {
  const GraphModule gm = parsed(kModel);
  const auto copy = Transformer(gm).transform();
  ASSERT_TRUE(copy.ok()) << copy.status();
  EXPECT_EQ(print_text(*copy), print_text(gm));
  const at::Tensor x = at::randn({2, 3});
  EXPECT_TRUE(at::equal(copy->forward({x})->toTuple()->elements()[0].toTensor(),
                        gm.forward({x})->toTuple()->elements()[0].toTensor()));
}

class NegForAdd : public Transformer {
 public:
  using Transformer::Transformer;
  absl::StatusOr<Argument> call_function(const Node& node, std::vector<Argument> args,
                                         Kwargs kwargs) override {
    if (node.op() == OpId::kRelu) return args[0];  // drops it
    if (node.op() != OpId::kAdd) return Transformer::call_function(node, args, kwargs);
    return Argument(graph().call_op(OpId::kNeg, {args[0]}));
  }
};

TEST(Transformer, ReplacesCallsAndDropsWhatNobodyReads) {
  const GraphModule gm = parsed(kModel);
  const auto changed = NegForAdd(gm).transform();
  ASSERT_TRUE(changed.ok()) << changed.status();
  const at::Tensor x = at::randn({2, 3});
  const auto result = changed->forward({x})->toTuple();
  const at::Tensor y = gm.forward({x})->toTuple()->elements()[1].toTensor() - gm.tensor("shift");
  EXPECT_TRUE(at::allclose(result->elements()[0].toTensor(), at::neg(y)));
  EXPECT_EQ(changed->graph().find("relu"), nullptr);
  EXPECT_NE(gm.graph().find("r"), nullptr) << "the old graph stays as it was";
}

class Fails : public Transformer {
 public:
  using Transformer::Transformer;
  absl::StatusOr<Argument> call_module(const Node&, std::vector<Argument>, Kwargs) override {
    return absl::UnimplementedError("no modules here");
  }
};

TEST(Transformer, ErrorsNameTheNode) {
  const GraphModule gm = parsed(kModel);
  const auto result = Fails(gm).transform();
  EXPECT_EQ(result.status().message(), "%y: no modules here");
}

class Unrolled : public Transformer {
 public:
  using Transformer::Transformer;
  absl::StatusOr<Argument> placeholder(const Node&) override { return Argument(2.5); }
};

TEST(Transformer, WhatItMakesIsVerified) {
  const GraphModule gm = parsed("graph (%x: f32[3]) {\n  %r = relu(%x)\n  return %r\n}");
  const auto result = Unrolled(gm).transform();
  ASSERT_FALSE(result.ok());
  EXPECT_NE(std::string(result.status().message()).find("%r"), std::string::npos)
      << result.status();
}

TEST(GraphCopy, PutsAGraphInTheMiddleOfAnother) {
  GraphModule gm = parsed("graph (%x: f32[3]) {\n  %r = relu(%x)\n  return %r\n}");
  const GraphModule part =
      parsed("graph (%x: f32[3]) {\n  %n = neg(%x)\n  %r = exp(%n)\n  return (%r, 3)\n}");
  Node* relu = gm.graph().find("r");
  std::unordered_map<const Node*, Argument> values;
  values[part.graph().find("x")] = relu;
  Argument result;
  {
    const auto behind = InsertionPoint::after(relu);
    result = gm.graph().graph_copy(part.graph(), values);
  }
  ASSERT_TRUE(result.is<TupleArg>());
  EXPECT_EQ((*result.items())[1], Argument(3));
  Node* exp = (*result.items())[0].node();
  EXPECT_EQ(values.at(part.graph().find("r")), Argument(exp));
  gm.graph().set_arg(gm.graph().output_node(), 0, exp);
  EXPECT_TRUE(verify(gm).ok()) << verify(gm);
  EXPECT_EQ(print_text(gm),
            "graph (%x: f32[3]) {\n  %r = relu(%x)\n  %n = neg(%r)\n"
            "  %r_1 = exp(%n)\n  return %r_1\n}\n");
}

TEST(GraphCopy, CopiesPlaceholdersThatItIsNotTold) {
  GraphModule gm;
  const GraphModule part = parsed("graph (%x: f32[3]) {\n  %n = neg(%x)\n  return %n\n}");
  std::unordered_map<const Node*, Argument> values;
  gm.graph().output(gm.graph().graph_copy(part.graph(), values));
  EXPECT_EQ(print_text(gm), print_text(part));
}

TEST(GraphEdit, SetArgAndMoveAfter) {
  GraphModule gm = parsed(
      "graph (%x: f32[3], %y: f32[3]) {\n  %a = neg(%x)\n  %b = exp(%y)\n  %c = add(%a, %b)\n"
      "  return %c\n}");
  Graph& graph = gm.graph();
  graph.set_arg(graph.find("c"), 1, graph.find("a"));
  EXPECT_TRUE(graph.find("b")->users().empty());
  graph.set_arg(graph.find("c"), 1, graph.find("b"));
  graph.move_after(graph.find("a"), graph.find("b"));
  EXPECT_TRUE(verify(gm).ok()) << verify(gm);
  EXPECT_EQ(graph.find("b")->next(), graph.find("a"));
  graph.move_after(graph.find("a"), graph.find("a"));
  EXPECT_EQ(graph.find("b")->next(), graph.find("a"));
}

}  // namespace
}  // namespace fxq
