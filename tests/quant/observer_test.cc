// Observers against their formulas, written out.
#include "fxq/quant/observer.h"

#include <ATen/Parallel.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "fxq/quant/clip_search.h"
#include "fxq/quant/process_group.h"
#include "nets.h"

namespace fxq {
namespace {

using quant_test::random;
using ::testing::HasSubstr;

std::shared_ptr<Observer> observer(const char* name, ObserverOptions options = {}) {
  auto made = make_observer(name, options);
  EXPECT_TRUE(made.ok()) << made.status();
  return *made;
}

float scale_of(const Observer& observer) {
  return observer.calculate_qparams().first.item<float>();
}

TEST(ObserverTest, ScaleIsMaxAbsOverHalfWidth) {
  for (auto [dtype, divisor] : {std::pair(DType::kI8, 127.5F), std::pair(DType::kU8, 255.0F),
                                std::pair(DType::kI16, 32767.5F)}) {
    ObserverOptions options;
    options.dtype = dtype;
    auto min_max = observer("min_max", options);
    min_max->forward(at::tensor({0.5F, -3.0F, 2.0F}));
    EXPECT_EQ(scale_of(*min_max), 3.0F / divisor) << qdtype_name(dtype);
    EXPECT_EQ(min_max->calculate_qparams().second.item<int>(), 0);
  }
}

TEST(ObserverTest, ScaleIsOneBeforeDataAndNeverBelowEpsilon) {
  auto min_max = observer("min_max");
  EXPECT_FALSE(min_max->has_data());
  EXPECT_EQ(scale_of(*min_max), 1.0F);
  min_max->forward(at::zeros({4}));
  EXPECT_TRUE(min_max->has_data());
  EXPECT_EQ(scale_of(*min_max), std::numeric_limits<float>::epsilon());
  min_max->reset();
  EXPECT_EQ(scale_of(*min_max), 1.0F);
}

TEST(ObserverTest, MinMaxKeepsExtremes) {
  auto min_max = observer("MinMaxObserver");
  min_max->forward(at::tensor({-1.0F, 5.0F}));
  min_max->forward(at::tensor({-7.0F, 2.0F}));
  EXPECT_EQ(scale_of(*min_max), 7.0F / 127.5F);
}

TEST(ObserverTest, MovingAverage) {
  ObserverOptions options;
  options.averaging_constant = 0.25;
  auto average = observer("MovingAverageMinMaxObserver", options);
  average->forward(at::tensor({-1.0F, 4.0F}));
  average->forward(at::tensor({-2.0F, 8.0F}));
  EXPECT_FLOAT_EQ(scale_of(*average), (4.0F + 0.25F * (8.0F - 4.0F)) / 127.5F);
}

TEST(ObserverTest, PerChannel) {
  ObserverOptions options;
  options.averaging_constant = 1.0;
  options.ch_axis = 1;
  options.channel_len = 2;
  auto channels = observer("MovingAveragePerChannelMinMaxObserver", options);
  channels->forward(at::tensor({1.0F, -8.0F, -2.0F, 4.0F}).view({2, 2}));
  const at::Tensor scale = channels->calculate_qparams().first;
  EXPECT_EQ(scale[0].item<float>(), 2.0F / 127.5F);
  EXPECT_EQ(scale[1].item<float>(), 8.0F / 127.5F);
}

TEST(ObserverTest, RefusesNanAndInfinityNamingTheBatch) {
  auto mse = observer("mse");
  mse->forward(at::ones({3}));
  for (float bad : {std::nanf(""), std::numeric_limits<float>::infinity()}) {
    try {
      mse->forward(at::tensor({1.0F, bad}));
      ADD_FAILURE() << "took " << bad;
    } catch (const c10::Error& error) {
      EXPECT_THAT(error.what(), HasSubstr("batch 1 holds NaN or infinity"));
    }
  }
}

// Counts; the other process has seen [-5, 6].
class CountingGroup : public ProcessGroup {
 public:
  int rank() const override { return 0; }
  int size() const override { return 2; }
  absl::Status all_reduce(at::Tensor& tensor, Reduction reduction) override {
    ++reductions;
    if (reduction == Reduction::kMin) tensor.clamp_max_(-5);
    if (reduction == Reduction::kMax) tensor.clamp_min_(6);
    return absl::OkStatus();
  }
  absl::Status broadcast(at::Tensor&) override { return absl::OkStatus(); }
  int reductions = 0;
};

TEST(ObserverTest, ABatchOfSeveralProcessesIsReducedOnce) {
  const auto group = std::make_shared<CountingGroup>();
  ObserverOptions options;
  options.is_sync_quantize = true;
  auto min_max = observer("min_max", options);
  set_process_group(group);
  min_max->forward(at::tensor({-1.0F, 2.0F}));
  set_process_group(nullptr);
  EXPECT_EQ(group->reductions, 2) << "of the least and of the greatest";
  EXPECT_EQ(scale_of(*min_max), 6.0F / 127.5F);
}

TEST(ObserverTest, BadNamesAndOptionsAreListed) {
  const auto unknown = make_observer("msr", {});
  EXPECT_THAT(std::string(unknown.status().message()), HasSubstr("did you mean \"mse\""));
  ObserverOptions options;
  options.averaging_constant = 2;
  options.quant_min = -500;
  const auto bad = make_observer("mse", options);
  EXPECT_EQ(bad.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(bad.status().message()), HasSubstr("averaging_constant 2"));
  EXPECT_THAT(std::string(bad.status().message()), HasSubstr("[-500, 127]"));
}

// The process ended: "terminate called after throwing c10::Error".
TEST(ObserverTest, DevicesThatAreNotThereAreErrors) {
  ObserverOptions options;
  options.factory_kwargs.device = "nonsense";
  EXPECT_THAT(std::string(make_observer("mse", options).status().message()),
              HasSubstr("device 'nonsense' is none of cpu, cuda"));
  options.factory_kwargs.device = "meta";
  EXPECT_THAT(std::string(make_observer("mse", options).status().message()),
              HasSubstr("this LibTorch has no device meta"));
}

TEST(ObserverTest, ArgumentsThatAClassDoesNotReadAreErrors) {
  ObserverOptions options;
  options.percentile = 99;
  options.xmin = -2;
  EXPECT_THAT(std::string(make_observer("min_max", options).status().message()),
              HasSubstr("MinMaxObserver takes no percentile (of percentile), xmin (of clip)"));
  options.xmin = -1;
  EXPECT_TRUE(make_observer("percentile", options).ok());
}

TEST(ObserverTest, TheChannelAxisIsTheClasses) {
  ObserverOptions per_channel;
  per_channel.qscheme = QScheme::kPerChannelSymmetric;
  EXPECT_EQ(observer("MovingAveragePerChannelMinMaxObserver", per_channel)->options().ch_axis, 0);
  EXPECT_EQ(observer("mse", per_channel)->options().ch_axis, 0);
  const auto refused = make_observer("MovingAverageMinMaxObserver", per_channel);
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("keeps one scale"));
  ObserverOptions axis;
  axis.ch_axis = 1;
  EXPECT_FALSE(make_observer("MovingAverageMinMaxObserver", axis).ok());
  axis.ch_axis = -1;
  EXPECT_THAT(std::string(make_observer("mse", axis).status().message()),
              HasSubstr("ch_axis -1 is negative"));
  ObserverOptions per_tensor;
  per_tensor.qscheme = QScheme::kPerTensorSymmetric;
  EXPECT_TRUE(make_observer("MovingAverageMinMaxObserver", per_tensor).ok());
  EXPECT_FALSE(make_observer("MovingAveragePerChannelMinMaxObserver", per_tensor).ok());
}

TEST(ObserverTest, DefaultConstructors) {
  EXPECT_EQ(MovingAverageMinMaxObserver().options().dtype, DType::kI8);
  EXPECT_EQ(MovingAveragePerChannelMinMaxObserver().options().ch_axis, 0);
}

TEST(ObserverTest, FactoryKwargsGiveTheBuffersTheirDtype) {
  ObserverOptions options;
  options.factory_kwargs.dtype = DType::kF64;
  auto min_max = observer("min_max", options);
  min_max->forward(at::tensor({0.5F, -3.0F}));
  EXPECT_EQ(min_max->tensors()[0].second.scalar_type(), at::kDouble);
  EXPECT_EQ(min_max->calculate_qparams().first.scalar_type(), at::kFloat);
  EXPECT_EQ(scale_of(*min_max), 3.0F / 127.5F);
  options.factory_kwargs.dtype = DType::kI8;
  EXPECT_FALSE(make_observer("min_max", options).ok());
}

// The definition, one value at a time in double.
double brute_error(const at::Tensor& x, float scale, QRange range) {
  double sum = 0;
  const float* data = x.data_ptr<float>();
  const float inverse = 1.0F / scale;
  for (int64_t i = 0; i < x.numel(); ++i) {
    float q = std::nearbyint(data[i] * inverse);
    q = std::min(std::max(q, static_cast<float>(range.min)), static_cast<float>(range.max));
    const float e = data[i] - q * scale;
    sum += static_cast<double>(e) * e;
  }
  return sum;
}

absl::Span<const float> span(const at::Tensor& x) {
  return {x.data_ptr<float>(), static_cast<size_t>(x.numel())};
}

TEST(ClipSearchTest, ErrorIsTheDefinition) {
  for (int64_t size : {1, 15, 16, 17, 4095, 4096, 4097, 100003}) {
    const at::Tensor x = random({size}, static_cast<uint64_t>(size), 3.0);
    for (float scale : {0.001F, 0.02F, 0.5F}) {
      const double expected = brute_error(x, scale, {-128, 127});
      EXPECT_NEAR(squared_error(span(x), scale, {-128, 127}), expected, 1e-5 * expected + 1e-12);
    }
  }
}

TEST(ClipSearchTest, FindsTheBestCandidate) {
  for (uint64_t seed : {1, 2, 3}) {
    const at::Tensor heavy = random({20000}, seed).pow(3);  // long tails want clipping
    const float limit = heavy.abs().max().item<float>();
    std::vector<double> errors(kClipSteps);
    add_clip_errors(span(heavy), limit, {-128, 127}, absl::MakeSpan(errors));
    const float clip = least_clip(errors, limit);
    EXPECT_LT(clip, limit);
    const double chosen = brute_error(heavy, symmetric_scale(clip, {-128, 127}), {-128, 127});
    for (int percent = 1; percent <= 100; ++percent) {
      const float other = limit * static_cast<float>(percent) * 0.01F;
      EXPECT_LE(chosen, 1.01 * brute_error(heavy, symmetric_scale(other, {-128, 127}), {-128, 127}))
          << percent << " %";
    }
  }
}

TEST(ClipSearchTest, SameAnswerForAnyNumberOfThreads) {
  const at::Tensor x = random({300000}, 5);
  const int before = at::get_num_threads();
  at::set_num_threads(1);
  const double one = squared_error(span(x), 0.013F, {-128, 127});
  at::set_num_threads(3);
  EXPECT_EQ(squared_error(span(x), 0.013F, {-128, 127}), one);
  at::set_num_threads(before);
}

}  // namespace
}  // namespace fxq
