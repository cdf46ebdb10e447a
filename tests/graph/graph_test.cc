// Building and editing graphs: names, uses, order, erasing, copies.
#include "fxq/graph/graph.h"

#include <gmock/gmock.h>

#include "fxq/graph/graph_module.h"

namespace fxq {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::string> names(const Graph& graph) {
  std::vector<std::string> result;
  for (const Node* node : graph.nodes()) result.push_back(node->name());
  return result;
}

TEST(Graph, NamesFollowFxRules) {
  Graph graph;
  Node* x = graph.placeholder("x");
  EXPECT_EQ(graph.call_op(OpId::kAdd, {x, x})->name(), "add");
  EXPECT_EQ(graph.call_op(OpId::kAdd, {x, x})->name(), "add_1");
  EXPECT_EQ(graph.call_op(OpId::kAdd, {x, x}, {}, "add_1")->name(), "add_2");
  EXPECT_EQ(graph.call_function("aten::special_i0e", {x})->name(), "special_i0e");
  EXPECT_EQ(graph.get_attr("0.weight")->name(), "_0_weight");
}

TEST(Graph, UsersMirrorArguments) {
  Graph graph;
  Node* x = graph.placeholder("x");
  Node* y = graph.placeholder("y");
  Node* cat = graph.call_op(OpId::kCat, {Argument::list({x, y, x}), 1});
  EXPECT_THAT(x->users(), ElementsAre(cat));
  EXPECT_THAT(cat->inputs(), ElementsAre(x, y));
  graph.replace_input(cat, x, y);
  EXPECT_TRUE(x->users().empty());
  EXPECT_THAT(cat->inputs(), ElementsAre(y));
}

TEST(Graph, EraseRefusesWhileUsed) {
  Graph graph;
  Node* x = graph.placeholder("x");
  Node* relu = graph.call_op(OpId::kRelu, {x});
  Node* out = graph.output(relu);
  const absl::Status status = graph.erase(relu);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("%output"));
  ASSERT_TRUE(graph.erase(out).ok());
  ASSERT_TRUE(graph.erase(relu).ok());
  EXPECT_EQ(graph.find("relu"), nullptr);
  EXPECT_TRUE(graph.find_all(OpId::kRelu).empty());
}

// The list of find_all is the caller's: it stays as it is while the graph changes.
TEST(Graph, FoundNodesCanBeReplacedWhileWalked) {
  Graph graph;
  Node* x = graph.placeholder("x");
  Node* last = x;
  for (int i = 0; i < 3; ++i) last = graph.call_op(OpId::kRelu, {last});
  graph.output(last);
  for (Node* relu : graph.find_all(OpId::kRelu)) {
    const InsertionPoint here(graph, relu);
    Node* again = graph.call_op(OpId::kRelu, {relu->args()[0]});
    graph.replace_all_uses(relu, again);
    ASSERT_TRUE(graph.erase(relu).ok());
  }
  EXPECT_EQ(graph.find_all(OpId::kRelu).size(), 3U);
}

TEST(Graph, InsertionPointRestoresItself) {
  Graph graph;
  Node* x = graph.placeholder("x");
  Node* relu = graph.call_op(OpId::kRelu, {x});
  {
    InsertionPoint before(graph, relu);
    graph.call_op(OpId::kSigmoid, {x});
  }
  graph.call_op(OpId::kTanh, {relu});
  EXPECT_THAT(names(graph), ElementsAre("x", "sigmoid", "relu", "tanh"));
}

TEST(Graph, OrderSurvivesManyInsertionsAtOnePlace) {
  Graph graph;
  Node* x = graph.placeholder("x");
  Node* last = graph.call_op(OpId::kRelu, {x});
  Node* previous = x;
  InsertionPoint before(graph, last);
  for (int i = 0; i < 200; ++i) {
    Node* node = graph.call_op(OpId::kTanh, {x});
    EXPECT_TRUE(previous->is_before(node));
    EXPECT_TRUE(node->is_before(last));
    previous = node;
  }
}

TEST(Graph, ReplaceAllUsesSparesTheException) {
  Graph graph;
  Node* x = graph.placeholder("x");
  Node* relu = graph.call_op(OpId::kRelu, {x});
  Node* a = graph.call_op(OpId::kTanh, {relu});
  Node* fq = graph.call_op(OpId::kIdentity, {relu});
  EXPECT_THAT(graph.replace_all_uses(relu, fq, fq), ElementsAre(a));
  EXPECT_EQ(fq->args()[0].node(), relu);
  EXPECT_EQ(a->args()[0].node(), fq);
}

TEST(Graph, ErasingTheCurrentNodeWhileIterating) {
  Graph graph;
  Node* x = graph.placeholder("x");
  for (int i = 0; i < 5; ++i) graph.call_op(OpId::kRelu, {x});
  for (Node* node : graph.nodes()) {
    if (node == x) continue;
    ASSERT_TRUE(graph.erase(node).ok());
  }
  EXPECT_THAT(names(graph), ElementsAre("x"));
}

TEST(Graph, TakeNameKeepsTheDeadNodesName) {
  Graph graph;
  Node* x = graph.placeholder("x");
  Node* conv = graph.call_op(OpId::kTanh, {x}, {}, "conv");
  Node* relu = graph.call_op(OpId::kRelu, {conv});
  graph.take_name(conv, relu);
  EXPECT_EQ(conv->name(), "relu");
  EXPECT_EQ(graph.find("relu"), conv);
}

TEST(Graph, PurityComesFromTheSchema) {
  Graph graph;
  Node* x = graph.placeholder("x");
  EXPECT_FALSE(is_impure(*graph.call_op(OpId::kAdd, {x, x})));
  EXPECT_TRUE(is_impure(*graph.call_function("aten::mul_.Tensor", {x, x})));
  EXPECT_TRUE(is_impure(*graph.call_function("aten::bernoulli", {x})));
  EXPECT_TRUE(is_impure(*graph.call_function("my::unknown", {x})));
}

TEST(GraphModule, CopyKeepsNamesAndEdges) {
  GraphModule gm;
  Node* x = gm.graph().placeholder("x");
  Node* relu = gm.graph().call_op(OpId::kRelu, {x}, {{"activation", "relu6"}});
  relu->source = "model.py:3";
  gm.graph().output(relu);
  const GraphModule copy = gm.copy();
  EXPECT_THAT(names(copy.graph()), ElementsAre("x", "relu", "output"));
  const Node* other = copy.graph().find("relu");
  EXPECT_NE(other, relu);
  EXPECT_EQ(other->source, "model.py:3");
  EXPECT_EQ(other->epilogue_activation(), OpId::kRelu6);
  EXPECT_EQ(other->args()[0].node(), copy.graph().find("x"));
}

}  // namespace
}  // namespace fxq
