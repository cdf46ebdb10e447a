// What golden text cannot show: whose tensors a fold reads, writes and replaces.
#include <ATen/ops/equal.h>

#include "fxq/graph/op_module.h"
#include "fxq/passes/fuse_rules.h"
#include "graph_of.h"

namespace fxq {
namespace {

constexpr const char* kConvBn = R"(module @c = conv2d(weight: f32[4,3,1,1], bias: none)
module @b = batch_norm(weight: f32[4], bias: f32[4], running_mean: f32[4], running_var: f32[4], momentum=0.1, eps=1e-05, cudnn_enabled=true)
state * = uniform(7, 0.5, 2.0)
graph (%x: f32[N,3,8,8]) {
  %conv = conv2d @c(%x)
  %bn = batch_norm @b(%conv)
  return %bn
}
)";

at::Tensor weight_of(const GraphModule& gm) {
  return dynamic_cast<OpModule*>(gm.module("c").get())->tensor("weight");
}

TEST(FoldBatchNormTest, NeverWritesIntoTheSource) {
  const GraphModule model = graph_of(kConvBn);
  const at::Tensor before = weight_of(model).detach().clone();
  GraphModule fused = model.copy();
  ASSERT_TRUE(*fuse(fused));
  EXPECT_TRUE(at::equal(weight_of(model), before));
  EXPECT_FALSE(at::equal(weight_of(fused), before));
  EXPECT_EQ(print_text(model), print_text(graph_of(kConvBn)));
}

TEST(FoldBatchNormTest, FoldedWeightsStillTrain) {
  GraphModule gm = graph_of(kConvBn);
  ASSERT_TRUE(weight_of(gm).requires_grad());
  ASSERT_TRUE(*fuse(gm));
  EXPECT_TRUE(weight_of(gm).requires_grad());
  EXPECT_EQ(gm.parameters().size(), 2);  // weight and the new bias
}

// W' = W * gamma / sqrt(var + eps), by hand: 3 * 2 / sqrt(4) = 3, b' = (0 - 5) * 2 / sqrt(4) + 1 =
// -4.
TEST(FoldBatchNormTest, Formula) {
  GraphModule gm = graph_of(R"(module @c = conv2d(weight: f32[1,1,1,1], bias: none)
module @b = batch_norm(weight: f32[1], bias: f32[1], running_mean: f32[1], running_var: f32[1], momentum=0.1, eps=0.0, cudnn_enabled=true)
state @c.weight = full(3)
state @b.weight = full(2)
state @b.bias = full(1)
state @b.running_mean = full(5)
state @b.running_var = full(4)
graph (%x: f32[N,1,8,8]) {
  %conv = conv2d @c(%x)
  %bn = batch_norm @b(%conv)
  return %bn
}
)");
  ASSERT_TRUE(*fuse(gm));
  const auto* conv = dynamic_cast<OpModule*>(gm.module("c").get());
  EXPECT_EQ(conv->tensor("weight").item<float>(), 3.0F);
  EXPECT_EQ(conv->tensor("bias").item<float>(), -4.0F);
}

TEST(FoldBatchNormTest, RefusedWhileTheWeightIsReadByItsPath) {
  GraphModule gm = graph_of(kConvBn);
  gm.set_tensor("c.weight", weight_of(gm));
  Node* output = gm.graph().output_node();
  const InsertionPoint here(gm.graph(), output);
  Node* weight = gm.graph().get_attr("c.weight");
  gm.graph().set_args(output, {Argument::tuple({output->args()[0], weight})});
  EXPECT_FALSE(*fuse(gm));
  ASSERT_EQ(gm.notes.size(), 1);
  EXPECT_EQ(gm.notes[0], "weighted_bn at %bn: module @c is used 2 times");
}

}  // namespace
}  // namespace fxq
