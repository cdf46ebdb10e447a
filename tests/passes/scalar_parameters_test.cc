// A parameter without dimensions is a number of the arithmetic that it takes part in.
#include <ATen/ops/equal.h>
#include <ATen/ops/randn.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fxq/graph/text.h"
#include "fxq/passes/cleanup.h"

namespace fxq {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

TEST(ScalarParametersTest, AreWrittenAsNumbers) {
  auto gm = parse_text(R"(
parameter @k : f32[]
parameter @v : f32[4]
state * = normal(3)
graph (%x: f32[2,4], %y: tensor) {
  %k = get_attr @k : f32[]
  %v = get_attr @v : f32[4]
  %a = mul(%k, %x) : f32[2,4]
  %b = sub(%a, %k) : f32[2,4]
  %c = sub(%k, %b) : f32[2,4]
  %d = mul(%c, %v) : f32[2,4]
  %e = add(%y, %k) : tensor
  return (%d, %e)
}
)");
  ASSERT_TRUE(gm.ok()) << gm.status();
  const std::vector<c10::IValue> inputs = {at::randn({2, 4}), at::randn({3})};
  const auto before = gm->forward(inputs);
  ASSERT_TRUE(before.ok()) << before.status();
  const auto changed = scalar_parameters(*gm);
  ASSERT_TRUE(changed.ok()) << changed.status();
  EXPECT_TRUE(*changed);
  EXPECT_THAT(print_text(*gm),
              AllOf(HasSubstr("%a = mul_scalar(%x, "), HasSubstr("%b = sub_scalar(%a, "),
                    HasSubstr("%c = sub(%k, %b)"), HasSubstr("%d = mul(%c, %v)"),
                    HasSubstr("%e = add(%y, %k)")));
  const auto after = gm->forward(inputs);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_TRUE(at::equal(before->toTupleRef().elements()[i].toTensor(),
                          after->toTupleRef().elements()[i].toTensor()));
  }
  EXPECT_FALSE(*scalar_parameters(*gm));
}

}  // namespace
}  // namespace fxq
