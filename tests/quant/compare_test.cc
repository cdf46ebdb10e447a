// SQNR and differences with NaN and infinity.
#include "fxq/quant/compare.h"

#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace fxq {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

at::Tensor values(std::initializer_list<float> list) {
  return at::tensor(std::vector<float>(list));
}

TEST(CompareTest, Sqnr) {
  EXPECT_NEAR(*sqnr_db(values({3, 4}), values({3, 3.5})), 20.0, 1e-9);
  EXPECT_EQ(*sqnr_db(values({3, 4}), values({3, 4})), kInfinity);
  EXPECT_FALSE(sqnr_db(values({3, 4}), values({3})).ok());
}

TEST(CompareTest, NanIsADifferenceUnlessBothHaveIt) {
  for (const float bad : {kNan, std::numeric_limits<float>::infinity()}) {
    const at::Tensor whole = values({1, 2}), broken = values({1, bad});
    EXPECT_EQ(*sqnr_db(whole, broken), -kInfinity);
    EXPECT_EQ(*sqnr_db(broken, whole), -kInfinity);
    EXPECT_EQ(*sqnr_db(broken, broken), kInfinity);
    EXPECT_EQ(*max_relative_difference(whole, broken), kInfinity);
    EXPECT_EQ(*max_relative_difference(broken, whole), kInfinity);
    EXPECT_EQ(*max_relative_difference(broken, broken), 0);
  }
  EXPECT_EQ(*max_relative_difference(values({kNan, 4}), values({kNan, 5})), 0.25);
}

}  // namespace
}  // namespace fxq
