// One broken graph per rule.
#include "fxq/graph/verifier.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/jit/api/module.h>

#include "fxq/graph/op_module.h"
#include "fxq/graph/text.h"
#include "fxq/graph/to_torchscript.h"

namespace fxq {
namespace {

using ::testing::HasSubstr;

class VerifierTest : public ::testing::Test {
 protected:
  VerifierTest() {
    auto parsed = parse_text(R"(
      module @c = conv2d(weight: f32[4,3,1,1], bias: none)
      graph (%x: f32[N,3,8,8]) {
        %conv = conv2d @c(%x) : f32[N,4,8,8]
        %sum = add(%conv, %conv)
        return %sum
      })");
    EXPECT_TRUE(parsed.ok()) << parsed.status();
    gm_ = *std::move(parsed);
  }

  Node* node(const char* name) { return gm_.graph().find(name); }
  Graph& graph() { return gm_.graph(); }

  void expect_fault(const std::string& text) {
    const absl::Status status = verify(gm_);
    EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
    EXPECT_THAT(std::string(status.message()), HasSubstr(text));
  }

  GraphModule gm_;
};

TEST_F(VerifierTest, AcceptsAGoodGraph) { EXPECT_TRUE(verify(gm_).ok()) << verify(gm_); }

TEST_F(VerifierTest, Order) {
  graph().move_before(node("sum"), node("conv"));
  expect_fault("%sum (call_function aten::add.Tensor): it uses %conv, which stands after it");
}

// They said "unordered_map::at".
TEST_F(VerifierTest, WhatRunsOrWritesABrokenGraphSaysTheSame) {
  graph().move_before(node("sum"), node("conv"));
  for (const absl::Status& status : {gm_.forward({}).status(), to_torchscript(gm_).status()}) {
    EXPECT_THAT(std::string(status.message()), HasSubstr("it uses %conv, which stands after it"));
  }
}

TEST_F(VerifierTest, OneOutput) {
  graph().output(Argument(node("sum")));
  expect_fault("a graph has one output; this one has 2");
}

TEST_F(VerifierTest, NoOutput) {
  ASSERT_TRUE(graph().erase(graph().output_node()).ok());
  expect_fault("a graph has one output; this one has 0");
}

TEST_F(VerifierTest, OutputIsLast) {
  graph().call_op(OpId::kRelu, {node("sum")});
  expect_fault("nodes stand after the output");
}

TEST_F(VerifierTest, ModuleExists) {
  graph().set_target(node("conv"), "cc", {node("conv")->op(), node("conv")->schema()});
  expect_fault("there is no module 'cc': did you mean \"c\"");
}

TEST_F(VerifierTest, ModuleIsWhatTheNodeCalls) {
  gm_.set_module("c",
                 std::make_shared<OpModule>("R", OpId::kRelu, NamedTensors{}, NamedAttributes{}));
  expect_fault("its op is not the one of module 'c'");
}

TEST_F(VerifierTest, TensorExists) {
  InsertionPoint here(graph(), node("conv"));
  graph().get_attr("gone");
  expect_fault("there is no tensor 'gone'");
}

TEST_F(VerifierTest, SchemaExists) {
  graph().set_target(node("sum"), "aten::add.Nothing", {});
  expect_fault("unknown op 'aten::add.Nothing'");
}

TEST_F(VerifierTest, TooManyArguments) {
  Node* x = node("x");
  graph().set_args(node("sum"), {x, x, 1, 2});
  expect_fault("add takes at most 3 arguments, got 4");
}

TEST_F(VerifierTest, MissingArgument) {
  graph().set_args(node("sum"), {node("x")});
  expect_fault("add needs an argument 'other'");
}

TEST_F(VerifierTest, ArgumentKind) {
  graph().set_args(node("sum"), {node("x"), "text"});
  expect_fault("argument 'other' wants Tensor, got \"text\"");
}

TEST_F(VerifierTest, KeywordArgument) {
  graph().set_kwarg(node("sum"), "alhpa", 2);
  expect_fault("add has no argument 'alhpa': did you mean \"alpha\"");
}

TEST_F(VerifierTest, ModuleArguments) {
  Node* x = node("x");
  graph().set_args(node("conv"), {x, 1, 1, 1, 1, 1});
  expect_fault("conv2d takes at most 5 arguments, got 6");
}

TEST_F(VerifierTest, ModuleAttributes) {
  gm_.op_module(*node("conv"))->set_attribute("strides", 2);
  expect_fault("module 'c': conv2d has no attribute 'strides': did you mean \"stride\"");
}

TEST_F(VerifierTest, EpilogueOnlyWhereTaken) {
  graph().set_kwarg(node("sum"), kEpilogueAdd, node("x"));
  expect_fault("add takes no 'add'");
}

TEST_F(VerifierTest, EpilogueActivation) {
  graph().set_kwarg(node("conv"), kEpilogueActivation, "sigmoid");
  expect_fault("'sigmoid' is no activation that ends an op");
}

TEST_F(VerifierTest, QuantizedTypeIsInteger) {
  node("sum")->type = Type::tensor(DType::kF32, {1});
  node("sum")->type.qparams = QParams{0.5F, 0};
  expect_fault("quantized, but not an integer tensor");
}

TEST_F(VerifierTest, ScaleIsPositive) {
  node("sum")->type = Type::tuple({Type::tensor(DType::kI8, {1})});
  node("sum")->type.elements[0].qparams = QParams{0.0F, 0};
  expect_fault("a scale of 0");
}

TEST_F(VerifierTest, AllFaultsAtOnce) {
  graph().set_args(node("sum"), {node("x")});
  graph().set_kwarg(node("conv"), kEpilogueActivation, "sigmoid");
  expect_fault("add needs an argument 'other'");
  expect_fault("'sigmoid' is no activation");
}

}  // namespace
}  // namespace fxq
