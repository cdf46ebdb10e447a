// Sizes that a trace computed in real tensors.
#include "fxq/tracer/traced_sizes.h"

#include <ATen/ops/full.h>
#include <gtest/gtest.h>
#include <torch/csrc/jit/api/function_impl.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/ir/irparser.h>

#include "fxq/tracer/trace.h"

namespace fxq {
namespace {

// zeros([int(floor(float(x.size(0)) * f))]), as torch.jit.trace writes it; f is 1.5 in the code or
// the module's buffer "factor".
GraphModule traced(bool in_the_code) {
  torch::jit::Module module("Net");
  module.register_buffer("factor", at::full({}, 1.5));
  auto graph = std::make_shared<torch::jit::Graph>();
  torch::jit::parseIR(R"(
graph(%self, %x : Tensor, %f : Tensor):
  %zero : int = prim::Constant[value=0]()
  %float : int = prim::Constant[value=6]()
  %no : bool = prim::Constant[value=0]()
  %none : NoneType = prim::Constant()
  %size : int = aten::size(%x, %zero)
  %n : Tensor = prim::NumToTensor(%size)
  %r : Tensor = aten::to(%n, %float, %no, %no, %none)
  %m : Tensor = aten::mul(%r, %f)
  %w : Tensor = aten::floor(%m)
  %i : int = aten::Int(%w)
  %l : int[] = prim::ListConstruct(%i)
  %y : Tensor = aten::zeros(%l, %float, %none, %none, %none)
  return (%y))",
                      graph.get());
  graph->inputs()[0]->setType(module.type());
  const torch::jit::WithInsertPoint at_start(*graph->nodes().begin());
  graph->inputs()[2]->replaceAllUsesWith(in_the_code
                                             ? graph->insertConstant(at::full({}, 1.5))
                                             : graph->insertGetAttr(graph->inputs()[0], "factor"));
  graph->eraseInput(2);
  auto* function = module._ivalue()->compilation_unit()->create_function(
      c10::QualifiedName(*module.type()->name(), "forward"), graph);
  module.type()->addMethod(function);
  auto gm = trace(module);
  EXPECT_TRUE(gm.ok()) << gm.status();
  return *std::move(gm);
}

int64_t rows(const GraphModule& gm, int64_t n) {
  const auto result = gm.forward({at::full({n}, 1.0)});
  EXPECT_TRUE(result.ok()) << result.status();
  return result.ok() ? result->toTensor().size(0) : -1;
}

TEST(TracedSizes, AFactorOfTheCodeIsAFraction) {
  const GraphModule gm = traced(true);
  EXPECT_EQ(gm.graph().find_all(OpId::kFloor).size(), 0);
  EXPECT_EQ(rows(gm, 7), 10);
  EXPECT_EQ(rows(gm, 8), 12);
}

TEST(TracedSizes, AFactorThatMayChangeIsNone) {
  GraphModule gm = traced(false);
  EXPECT_EQ(gm.graph().find_all(OpId::kFloor).size(), 1);
  EXPECT_EQ(rows(gm, 7), 10);
  gm.set_tensor("factor", at::full({}, 2.0));
  EXPECT_EQ(rows(gm, 7), 14);
}

}  // namespace
}  // namespace fxq
