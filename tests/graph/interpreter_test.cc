// Running graphs: operators, modules, containers, epilogues, modes, and what errors say.
#include "fxq/graph/interpreter.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include "fxq/graph/op_module.h"
#include "fxq/graph/view.h"

namespace fxq {
namespace {

using ::testing::HasSubstr;

std::shared_ptr<OpModule> conv_module(const at::Tensor& weight) {
  return std::make_shared<OpModule>(
      "torch.nn.modules.conv.Conv2d", OpId::kConv2d,
      NamedTensors{{"weight", weight}, {"bias", at::Tensor()}},
      NamedAttributes{{"stride", Argument::ints({2, 2})}, {"padding", Argument::ints({1, 1})}});
}

at::Tensor run(const GraphModule& gm, std::vector<c10::IValue> inputs) {
  auto result = gm.forward(std::move(inputs));
  EXPECT_TRUE(result.ok()) << result.status();
  return result->toTensor();
}

TEST(Interpreter, ModuleWithEpilogueEqualsItsParts) {
  const at::Tensor weight = at::randn({4, 3, 3, 3});
  GraphModule gm;
  gm.set_module("conv", conv_module(weight));
  Node* x = gm.graph().placeholder("x");
  Node* y = gm.graph().placeholder("y");
  gm.graph().output(gm.call_module("conv", {x}, {{"add", y}, {"activation", "relu"}}));
  const at::Tensor a = at::randn({1, 3, 8, 8});
  const at::Tensor b = at::randn({1, 4, 4, 4});
  const at::Tensor expected = at::relu(at::add(at::conv2d(a, weight, {}, 2, 1), b));
  EXPECT_TRUE(at::equal(run(gm, {a, b}), expected));
}

TEST(Interpreter, ContainersAndKeywordArguments) {
  GraphModule gm;
  Graph& graph = gm.graph();
  Node* x = graph.placeholder("x");
  Node* cat = graph.call_op(OpId::kCat, {Argument::list({x, x}), 1});
  Node* sum = graph.call_op(OpId::kAdd, {cat, cat}, {{"alpha", 2}});
  Node* chunks = graph.call_op(OpId::kChunk, {sum, 2, 1});
  graph.output(graph.call_op(OpId::kGetItem, {chunks, -1}));
  const at::Tensor a = at::randn({2, 3});
  EXPECT_TRUE(at::equal(run(gm, {a}), a + a * 2));
}

TEST(Interpreter, ErrorsNameNodeModuleAndSource) {
  GraphModule gm;
  gm.set_module("layer.conv", conv_module(at::randn({4, 3, 3, 3})));
  Node* conv = gm.call_module("layer.conv", {gm.graph().placeholder("x")});
  conv->source = "model.py:41";
  gm.graph().output(conv);
  const auto result = gm.forward({at::randn({1, 5, 8, 8})});
  ASSERT_FALSE(result.ok());
  const std::string message(result.status().message());
  EXPECT_THAT(message, HasSubstr("%layer_conv"));
  EXPECT_THAT(message, HasSubstr("model.py:41"));
  EXPECT_EQ(message.find("Exception raised"), std::string::npos);
}

TEST(Interpreter, BatchNormFollowsTheMode) {
  GraphModule gm;
  const at::Tensor mean = at::zeros({3});
  auto bn = std::make_shared<OpModule>(
      "torch.nn.modules.batchnorm.BatchNorm2d", OpId::kBatchNorm,
      NamedTensors{{"weight", at::ones({3})},
                   {"bias", at::zeros({3})},
                   {"running_mean", mean},
                   {"running_var", at::ones({3})}},
      NamedAttributes{{"momentum", 0.1}, {"eps", 1e-5}, {"cudnn_enabled", false}});
  gm.set_module("bn", bn);
  gm.graph().output(gm.call_module("bn", {gm.graph().placeholder("x")}));
  const at::Tensor x = at::randn({4, 3, 5, 5}) + 2;
  gm.eval();
  EXPECT_NEAR(run(gm, {x}).mean().item<double>(), 2, 0.5);
  gm.train();
  EXPECT_NEAR(run(gm, {x}).mean().item<double>(), 0, 1e-4);
}

TEST(Interpreter, AutogradReachesParameters) {
  GraphModule gm;
  gm.set_module("conv", conv_module(at::randn({4, 3, 3, 3}).set_requires_grad(true)));
  gm.graph().output(gm.call_module("conv", {gm.graph().placeholder("x")}));
  ASSERT_EQ(gm.parameters().size(), 1U);
  run(gm, {at::randn({1, 3, 8, 8})}).sum().backward();
  EXPECT_TRUE(gm.parameters()[0].grad().defined());
}

TEST(GraphModule, ReplacingABufferSparesTheCaller) {
  const at::Tensor mean = at::zeros({3});
  OpModule bn("torch.nn.modules.batchnorm.BatchNorm2d", OpId::kBatchNorm, {{"running_mean", mean}},
              {});
  bn.set_tensor("running_mean", at::ones({3}));
  EXPECT_EQ(mean.sum().item<double>(), 0);
  EXPECT_EQ(bn.tensor("running_mean").sum().item<double>(), 3);
}

TEST(OpView, ModuleAndFunctionLookTheSame) {
  const at::Tensor weight = at::randn({4, 3, 3, 3});
  GraphModule gm;
  gm.set_module("conv", conv_module(weight));
  gm.set_tensor("w", weight);
  Node* x = gm.graph().placeholder("x");
  Node* module = gm.call_module("conv", {x});
  Node* w = gm.graph().get_attr("w");
  Node* function = gm.graph().call_op(
      OpId::kConv2d, {x, w, Argument(), Argument::ints({2, 2}), Argument::ints({1, 1})});
  for (const Node* node : {module, function}) {
    const OpView view(gm, node);
    EXPECT_EQ(view.operands(), std::vector<Node*>{x});
    EXPECT_TRUE(view.param("weight").is_same(weight));
    EXPECT_FALSE(view.has_param("bias"));
    EXPECT_EQ(view.attr_ints("stride"), (std::vector<int64_t>{2, 2}));
    EXPECT_EQ(view.attr_ints("dilation"), (std::vector<int64_t>{1, 1}));
    EXPECT_EQ(view.attr_int("groups"), 1);
    EXPECT_TRUE(view.attr_is_default("groups"));
    EXPECT_FALSE(view.attr_is_default("stride"));
  }
}

}  // namespace
}  // namespace fxq
