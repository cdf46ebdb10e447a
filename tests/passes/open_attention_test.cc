// torch's fused transformer kernels, written out: the same numbers, from ops that quantize.
#include <ATen/core/Tensor.h>
#include <ATen/ops/randn.h>
#include <c10/core/InferenceMode.h>
#include <gmock/gmock.h>

#include "fxq/graph/text.h"
#include "fxq/graph/verifier.h"
#include "fxq/passes/cleanup.h"

namespace fxq {
namespace {

constexpr const char* kWeights = R"(
parameter @qw : f32[24,8]
parameter @qb : f32[24]
parameter @pw : f32[8,8]
parameter @pb : f32[8]
parameter @n : f32[8]
parameter @f1 : f32[16,8]
parameter @g1 : f32[16]
parameter @f2 : f32[8,16]
state @qw = normal(1, 0.5)
state @qb = normal(2)
state @pw = normal(3, 0.5)
state @pb = normal(4)
state @n = uniform(5, 0.5, 1.5)
state @f1 = normal(6, 0.5)
state @g1 = normal(7)
state @f2 = normal(8, 0.5)
graph (%x: f32[2,5,8]) {
  %qw = get_attr @qw
  %qb = get_attr @qb
  %pw = get_attr @pw
  %pb = get_attr @pb
  %n = get_attr @n
  %f1 = get_attr @f1
  %g1 = get_attr @g1
  %f2 = get_attr @f2
)";

// The number of fused kernels that are left; outputs must not change.
size_t opened(const std::string& calls) {
  auto gm = parse_text(kWeights + calls);
  EXPECT_TRUE(gm.ok()) << gm.status();
  if (!gm.ok()) return 0;
  gm->eval();
  const c10::InferenceMode inference;
  const at::Tensor x = at::randn({2, 5, 8});
  const auto before = gm->forward({x});
  EXPECT_TRUE(before.ok()) << before.status();
  EXPECT_TRUE(open_attention(*gm).ok());
  EXPECT_TRUE(verify(*gm).ok()) << verify(*gm);
  const auto after = gm->forward({x});
  EXPECT_TRUE(after.ok()) << after.status();
  if (before.ok() && after.ok()) {
    const at::Tensor apart = (before->toTensor() - after->toTensor()).abs().max();
    EXPECT_LT(apart.item<float>(), 1e-5F) << print_text(*gm);
  }
  return gm->graph().find_all(OpId::kMultiHeadAttention).size() +
         gm->graph().find_all(OpId::kTransformerEncoderLayer).size();
}

TEST(OpenAttentionTest, SelfAttention) {
  EXPECT_EQ(opened(R"(
  %a = multi_head_attention(%x, %x, %x, 8, 2, %qw, %qb, %pw, %pb, none, false)
  %y = getitem(%a, 0)
  return %y
})"),
            0U);
}

TEST(OpenAttentionTest, EncoderLayers) {
  for (const std::string order : {"true, false", "false, true", "true, true", "false, false"}) {
    EXPECT_EQ(opened("%y = transformer_encoder_layer(%x, 8, 4, %qw, %qb, %pw, %pb, " + order +
                     ", 0.00001, %n, %pb, %n, %pb, %f1, %g1, %f2, %pb)\n  return %y\n}"),
              0U)
        << order;
  }
}

TEST(OpenAttentionTest, LeavesWhatItCannotSay) {
  EXPECT_EQ(opened(R"(
  %a = multi_head_attention(%x, %x, %x, 8, 2, %qw, %qb, %pw, %pb, none, true)
  %y = getitem(%a, 1)
  return %y
})"),
            1U);
  EXPECT_EQ(opened(R"(
  %z = add_scalar(%x, 1.0)
  %a = multi_head_attention(%x, %z, %z, 8, 2, %qw, %qb, %pw, %pb, none, false)
  %y = getitem(%a, 0)
  return %y
})"),
            1U);
}

}  // namespace
}  // namespace fxq
