// exp_f32 against the exact exponential, and at the ends of its range.
#include "fxq/base/exp.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace fxq {
namespace {

TEST(ExpTest, IsCloseToTheExactValue) {
  for (double x = -87.3; x < 88.0; x += 0.00137) {
    const auto argument = static_cast<float>(x);
    const double exact = std::exp(static_cast<double>(argument));
    const double unit = std::ldexp(1.0, std::ilogb(exact) - 23);
    ASSERT_LE(std::abs(exp_f32(argument) - exact), 2 * unit) << argument;
  }
  EXPECT_EQ(exp_f32(0.0F), 1.0F);
}

TEST(ExpTest, EndsOfTheRange) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(exp_f32(-kInfinity), 0.0F);
  EXPECT_EQ(exp_f32(-200.0F), 0.0F);
  EXPECT_EQ(exp_f32(kInfinity), exp_f32(88.0F));
  EXPECT_TRUE(std::isnan(exp_f32(std::numeric_limits<float>::quiet_NaN())));
}

}  // namespace
}  // namespace fxq
