// Top-1 of few samples: what is chance, and what is a collapse.
#include "fxq/train/convergence.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace fxq {
namespace {

TEST(ConvergenceTest, ShareIntervalIsWilsons) {
  // Its ends are the shares p that lie two of their own standard errors from 0.3.
  for (const double p : {share_interval(0.3, 20).low, share_interval(0.3, 20).high}) {
    EXPECT_NEAR(std::abs(p - 0.3), 2 * std::sqrt(p * (1 - p) / 20), 1e-12);
  }
  EXPECT_DOUBLE_EQ(share_interval(1, 16).low, 0.8);
  EXPECT_DOUBLE_EQ(share_interval(1, 16).high, 1);
  EXPECT_EQ(share_interval(0, 16).low, 0);
  EXPECT_EQ(share_interval(0, 0).high, 1) << "nothing is known";
}

// A run of steps of `batch` samples, right with probability `first` and after 20 steps `then`.
absl::Status run(uint32_t seed, int64_t batch, double first, double then) {
  std::mt19937 random(seed);
  TrainPosition at;
  for (int64_t step = 0; step < 60; ++step) {
    std::binomial_distribution<int64_t> hits(batch, step < 20 ? first : then);
    ++at.total;
    ++at.step;
    at.samples += batch;
    follow_top1(at, hits(random), batch);
  }
  return check_converges(at, 0.01);
}

TEST(ConvergenceTest, ChanceIsNoCollapse) {
  for (const int64_t batch : {1, 2, 16}) {
    for (const double top1 : {0.0, 0.1, 0.3, 0.5, 0.9}) {
      for (uint32_t seed = 0; seed < 100; ++seed) {
        EXPECT_TRUE(run(seed, batch, top1, top1).ok()) << batch << " " << top1 << " " << seed;
      }
    }
  }
}

TEST(ConvergenceTest, ACollapseIsOne) {
  for (uint32_t seed = 0; seed < 100; ++seed) {
    EXPECT_EQ(run(seed, 16, 0.9, 0.1).code(), absl::StatusCode::kAborted) << seed;
  }
}

}  // namespace
}  // namespace fxq
