// What fuse_fx says of modules that it could not look into.
#include "fxq/quant/fuse_fx.h"

#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/jit/api/module.h>

#include "fxq/tracer/trace.h"

namespace fxq {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Scripted nn.BatchNorm1d takes f32[N,C] and f32[N,C,L], and asks which.
torch::jit::Module net_with_batch_norm() {
  torch::jit::Module bn("__torch__.torch.nn.modules.batchnorm.BatchNorm1d");
  bn.register_attribute("training", c10::BoolType::get(), false);
  bn.register_buffer("running_mean", at::zeros({3}));
  bn.register_buffer("running_var", at::ones({3}));
  bn.define(R"(
def forward(self, x):
    assert x.dim() == 2 or x.dim() == 3, "expected 2D or 3D input"
    return torch.batch_norm(x, None, None, self.running_mean, self.running_var, False, 0.1, 0.00001, True)
)");
  torch::jit::Module net("Net");
  net.register_module("bn", bn);
  net.define("def forward(self, x):\n    return self.bn.forward(x * 2)\n");
  net.eval();
  return net;
}

// It stayed TorchScript without a word.
TEST(FuseFxTest, AModuleThatIsKeptWholeForWantOfShapesIsNamed) {
  const auto unknown = trace(net_with_batch_norm());
  ASSERT_TRUE(unknown.ok()) << unknown.status();
  const auto fused = fuse_fx(*unknown);
  ASSERT_TRUE(fused.ok()) << fused.status();
  const auto names_it = HasSubstr("%bn (torch.nn.modules.batchnorm.BatchNorm1d) is kept whole");
  EXPECT_THAT(fused->notes, ElementsAre(names_it));
  EXPECT_THAT(fuse_fx(*fused)->notes, ElementsAre(names_it)) << "said once";
  TraceOptions options;
  options.example_inputs = {at::ones({2, 3})};
  const auto known = trace(net_with_batch_norm(), options);
  ASSERT_TRUE(known.ok()) << known.status();
  EXPECT_THAT(fuse_fx(*known)->notes, ElementsAre());
}

}  // namespace
}  // namespace fxq
