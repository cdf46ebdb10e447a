// Vector loops against scalar ones: every length, NaN and infinity anywhere.
#include "fxq/base/row_math.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

namespace fxq {
namespace {

std::vector<float> random_row(size_t length, uint32_t seed) {
  std::mt19937 engine(seed);
  std::normal_distribution<float> normal;
  std::vector<float> row(length);
  for (float& value : row) value = normal(engine);
  return row;
}

const std::vector<size_t> kLengths = {1, 2, 15, 16, 17, 31, 33, 64, 1000};

TEST(RowMathTest, ScaleRoundsOnce) {
  for (const size_t length : kLengths) {
    const std::vector<float> x = random_row(length, 1);
    std::vector<float> y(length);
    scale_row(x, 0.1, absl::MakeSpan(y));
    for (size_t i = 0; i < length; ++i) EXPECT_EQ(y[i], static_cast<float>(double{x[i]} * 0.1));
  }
}

TEST(RowMathTest, RangeOfEveryLength) {
  for (const size_t length : kLengths) {
    const std::vector<float> x = random_row(length, 2);
    const RowRange range = range_of_row(x);
    EXPECT_EQ(range.min, *std::min_element(x.begin(), x.end()));
    EXPECT_EQ(range.max, *std::max_element(x.begin(), x.end()));
    EXPECT_TRUE(range.is_finite);
  }
}

TEST(RowMathTest, NanAndInfinityAreSeenAnywhere) {
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity(),
        std::numeric_limits<float>::infinity()}) {
    for (size_t at = 0; at < 37; ++at) {
      std::vector<float> x = random_row(37, 3);
      x[at] = bad;
      EXPECT_FALSE(range_of_row(x).is_finite) << bad << " at " << at;
    }
  }
  EXPECT_TRUE(range_of_row({std::numeric_limits<float>::max(), -1}).is_finite);
}

template <typename T>
void expect_rounded(float low, float high) {
  std::vector<float> x = random_row(1000, 4);
  x.insert(x.end(), {0.005F, 0.015F, -0.005F, -0.015F, 1e30F, -1e30F, -0.0F});
  std::vector<T> q(x.size());
  const float inverse = 100;
  round_row(x, {inverse, low, high}, absl::MakeSpan(q));
  for (size_t i = 0; i < x.size(); ++i) {
    EXPECT_EQ(q[i], std::clamp(std::nearbyint(x[i] * inverse), low, high)) << x[i];
  }
}

TEST(RowMathTest, RoundsHalvesToEvenAndClamps) {
  expect_rounded<int8_t>(-128, 127);
  expect_rounded<int8_t>(-8, 7);
  expect_rounded<int16_t>(-32768, 32767);
}

template <typename T>
void expect_scaled_then_rounded(double scale) {
  std::vector<float> x = random_row(1000, 5);
  x.insert(x.end(), {0.0F, -0.0F, 1e30F, -1e30F});
  std::vector<float> scaled(x.size());
  scale_row(x, scale, absl::MakeSpan(scaled));
  const RoundTo to{40, -128, 127};
  std::vector<T> expected(x.size()), q(x.size());
  round_row(scaled, to, absl::MakeSpan(expected));
  round_scaled_row(x, scale, to, absl::MakeSpan(q));
  EXPECT_EQ(q, expected) << scale;
}

TEST(RowMathTest, ScalingWhileRoundingGivesTheSameIntegers) {
  for (const double scale : {0.1, -1.7, 0.0, 1e-30}) {
    expect_scaled_then_rounded<int8_t>(scale);
    expect_scaled_then_rounded<int16_t>(scale);
  }
}

}  // namespace
}  // namespace fxq
