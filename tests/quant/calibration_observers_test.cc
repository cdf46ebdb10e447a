// The calibration observers against their formulas, written out another way.
#include "fxq/quant/calibration_observers.h"

#include <ATen/Parallel.h>
#include <ATen/ops/cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <limits>

#include "fxq/quant/clip_search.h"
#include "fxq/quant/fake_quantize.h"
#include "fxq/quant/histogram.h"
#include "nets.h"

namespace fxq {
namespace {

using quant_test::kConvReluLinear;
using quant_test::net;
using quant_test::random;
using ::testing::HasSubstr;

constexpr QRange kSigned = {-128, 127};

absl::Span<const float> span(const at::Tensor& x) {
  return {x.data_ptr<float>(), static_cast<size_t>(x.numel())};
}

float max_abs(const at::Tensor& x) { return x.abs().max().item<float>(); }

std::shared_ptr<Observer> observer(const char* name, const ObserverOptions& options = {}) {
  auto made = make_observer(name, options);
  EXPECT_TRUE(made.ok()) << made.status();
  return *made;
}

// What the scale stands for.
float clip_of(const Observer& observer) {
  return observer.calculate_qparams().first.item<float>() * 127.5F;
}

at::Tensor heavy_tails(uint64_t seed = 1) { return random({20000}, seed).pow(3); }

TEST(CalibrationObserversTest, PercentileIsTheSortedOne) {
  const at::Tensor x = heavy_tails();
  const at::Tensor sorted = std::get<0>(x.abs().sort());
  for (double percent : {90.0, 99.0, 99.99, 100.0}) {
    ObserverOptions options;
    options.percentile = percent;
    auto percentile = observer("percentile", options);
    percentile->forward(x);
    const auto rank = static_cast<int64_t>(std::ceil(20000 * percent / 100)) - 1;
    const float width = max_abs(x) / 2048;
    EXPECT_NEAR(clip_of(*percentile), sorted[rank].item<float>(), width) << percent;
  }
}

// Bin by bin, as the published calibrator has it.
double naive_divergence(const std::vector<int64_t>& counts, size_t bins, size_t levels) {
  std::vector<double> p(counts.begin(), counts.begin() + static_cast<int64_t>(bins)), q(bins);
  for (size_t k = 0; k < levels; ++k) {
    const size_t begin = k * bins / levels, end = (k + 1) * bins / levels;
    double mass = 0, used = 0;
    for (size_t i = begin; i < end; ++i) {
      mass += p[i];
      used += p[i] > 0;
    }
    for (size_t i = begin; i < end; ++i) q[i] = p[i] > 0 ? mass / used : 0;
  }
  for (size_t i = bins; i < counts.size(); ++i) p[bins - 1] += static_cast<double>(counts[i]);
  double p_sum = 0, q_sum = 0, divergence = 0;
  for (size_t i = 0; i < bins; ++i) {
    p_sum += p[i];
    q_sum += q[i];
  }
  for (size_t i = 0; i < bins; ++i) {
    if (p[i] > 0) divergence += p[i] / p_sum * std::log((p[i] / p_sum) / (q[i] / q_sum));
  }
  return divergence;
}

TEST(CalibrationObserversTest, KlIsThePublishedSearch) {
  for (uint64_t seed : {1, 2}) {
    const at::Tensor x = heavy_tails(seed);
    ObserverOptions options;
    options.bins = 512;
    auto kl = observer("kl", options);
    kl->forward(x);
    std::vector<int64_t> counts = Histogram(span(x), max_abs(x), 512).counts();
    counts[0] = counts[1];
    size_t best = 512;
    for (size_t bins = 512; bins >= 128; --bins) {
      const double loss = naive_divergence(counts, bins, 128);
      if (loss < naive_divergence(counts, best, 128)) best = bins;
    }
    EXPECT_LT(best, 512);
    EXPECT_FLOAT_EQ(clip_of(*kl), static_cast<float>(best) * max_abs(x) / 512);
  }
  ObserverOptions wide;
  wide.dtype = DType::kI16;
  auto kl = observer("kl", wide);
  const at::Tensor x = heavy_tails();
  kl->forward(x);
  EXPECT_FLOAT_EQ(kl->calculate_qparams().first.item<float>(), max_abs(x) / 32767.5F);
}

TEST(CalibrationObserversTest, MixTakesThePercentileOfLeastError) {
  const at::Tensor x = heavy_tails();
  auto mix = observer("mix");
  mix->forward(x);
  const double chosen = squared_error(span(x), clip_of(*mix) / 127.5F, kSigned);
  int equal = 0;
  for (double percent : {99.0, 99.9, 99.99, 99.999, 100.0}) {
    ObserverOptions options;
    options.percentile = percent;
    auto percentile = observer("percentile", options);
    percentile->forward(x);
    const double loss = squared_error(span(x), clip_of(*percentile) / 127.5F, kSigned);
    EXPECT_LE(chosen, loss * 1.000001);
    equal += std::abs(chosen - loss) <= loss * 1e-6;
  }
  EXPECT_GE(equal, 1);
}

TEST(CalibrationObserversTest, FixedScaleNeedsNoData) {
  ObserverOptions options;
  options.scale = 0.3;
  auto fixed = observer("fixed_scale", options);
  EXPECT_TRUE(fixed->has_data());
  EXPECT_EQ(fixed->calculate_qparams().first.item<float>(), 0.3F);
  fixed->forward(heavy_tails());
  EXPECT_EQ(fixed->calculate_qparams().first.item<float>(), 0.3F);
}

TEST(CalibrationObserversTest, ClipAndClipStd) {
  ObserverOptions options;
  options.xmin = -0.5;
  options.xmax = 2;
  auto clip = observer("clip", options);
  clip->forward(at::tensor({-3.0F, 9.0F}));
  EXPECT_EQ(clip_of(*clip), 2.0F);
  clip->reset();
  clip->forward(at::tensor({-3.0F, 0.25F}));
  EXPECT_EQ(clip_of(*clip), 0.5F);

  const at::Tensor x = random({50000}, 3) * 2 + 1;
  auto std3 = observer("clip_std");
  std3->forward(x);
  EXPECT_NEAR(clip_of(*std3), x.mean().item<double>() + 3 * x.std(false).item<double>(), 1e-3);
}

TEST(CalibrationObserversTest, BatchesWeighAlikeUnlessAveragingConstantIsGiven) {
  const std::vector<at::Tensor> batches = {heavy_tails(1).abs(), heavy_tails(2).abs(),
                                           heavy_tails(3).abs()};
  for (const char* name : {"percentile", "kl", "mix", "clip_std"}) {
    std::vector<float> clips;
    for (const at::Tensor& batch : batches) {
      auto alone = observer(name);
      alone->forward(batch);
      clips.push_back(clip_of(*alone));
    }
    auto equal = observer(name);
    ObserverOptions options;
    options.averaging_constant = 0.25;
    auto moving = observer(name, options);
    for (const at::Tensor& batch : batches) {
      equal->forward(batch);
      moving->forward(batch);
    }
    const float first = clips[0] + 0.25F * (clips[1] - clips[0]);
    EXPECT_FLOAT_EQ(clip_of(*equal), (clips[0] + clips[1] + clips[2]) / 3) << name;
    EXPECT_FLOAT_EQ(clip_of(*moving), first + 0.25F * (clips[2] - first)) << name;
  }
}

TEST(CalibrationObserversTest, MseIsTheLeastErrorOfAllBatches) {
  for (const double factor : {1.0, 8.0}) {
    const at::Tensor first = heavy_tails(1), second = heavy_tails(2) * factor;
    auto mse = observer("mse");
    mse->forward(first);
    mse->forward(second);
    const at::Tensor all = at::cat({first, second});
    double least = std::numeric_limits<double>::infinity();
    for (int i = 10; i <= 1000; ++i) {
      const float clip = max_abs(all) * static_cast<float>(i) / 1000;
      least = std::min(least, squared_error(span(all), clip / 127.5F, kSigned));
    }
    EXPECT_LT(squared_error(span(all), clip_of(*mse) / 127.5F, kSigned), 1.02 * least) << factor;
  }
}

// One picture of 32 is brighter: the mean of each batch's best clip lost 100 steps of it.
TEST(CalibrationObserversTest, MseKeepsWhatOnlySomeBatchesHold) {
  auto mse = observer("mse");
  for (int i = 0; i < 31; ++i) mse->forward(random({5000}, 1 + static_cast<uint64_t>(i)));
  const at::Tensor bright = random({5000}, 40) * 5;
  mse->forward(bright);
  EXPECT_GT(clip_of(*mse), 0.6F * max_abs(bright));
}

// The least error of any clip of all these values.
double least_error(const at::Tensor& x, int steps) {
  double least = std::numeric_limits<double>::infinity();
  for (int i = 0; i < steps; ++i) {
    const float clip = max_abs(x) * std::exp2(-static_cast<float>(i) / 8);
    least = std::min(least, squared_error(span(x), clip / 127.5F, kSigned));
  }
  return least;
}

// Steps below an 11th of the greatest value are not measured at first: they must not win.
TEST(CalibrationObserversTest, MseFindsValuesFarBelowAnOutlier) {
  at::Tensor x = random({4000000}, 7);
  x[1234] = 100;
  auto mse = observer("mse");
  mse->forward(x);
  EXPECT_LT(clip_of(*mse), 100.0F / 11);
  EXPECT_LT(squared_error(span(x), clip_of(*mse) / 127.5F, kSigned), 1.02 * least_error(x, 48));
}

// Batches that are all zero after rounding lose no more by a wider clip.
TEST(CalibrationObserversTest, MseKeepsOneBatchAmongManySmallOnes) {
  auto mse = observer("mse");
  std::vector<at::Tensor> all;
  for (uint64_t i = 0; i < 256; ++i) {
    all.push_back(i < 255 ? random({5000}, i + 1) * 1e-3 : random({5000}, 300).pow(3));
    mse->forward(all.back());
  }
  const at::Tensor x = at::cat(all);
  EXPECT_LT(squared_error(span(x), clip_of(*mse) / 127.5F, kSigned), 1.1 * least_error(x, 48));
}

TEST(CalibrationObserversTest, OfEqualClipsTheWidestWins) {
  EXPECT_EQ(least_clip(std::vector<double>(kClipSteps, 1.0), 3.0F), 3.0F);
  std::vector<double> sums(kClipSteps, 0.0);
  const std::vector<float> below_zero{-3, -1, -2};  // which quint8 has no integer for
  add_clip_errors(below_zero, 3, range_of(DType::kU8), absl::MakeSpan(sums));
  EXPECT_EQ(least_clip(sums, 3), 3.0F);
}

// Its sums had room for channel_len channels, 1 by default, and were written for all of them.
TEST(CalibrationObserversTest, MseHasAsManyChannelsAsTheData) {
  ObserverOptions options;
  options.ch_axis = 0;
  auto mse = observer("mse", options);
  const at::Tensor x = random({400, 64}, 1), y = random({400, 64}, 2) * 2;
  mse->forward(x);
  mse->forward(y);
  const at::Tensor scale = mse->calculate_qparams().first;
  ASSERT_EQ(scale.numel(), 400);
  for (const int64_t channel : {0, 7, 399}) {
    auto alone = observer("mse");
    alone->forward(x[channel]);
    alone->forward(y[channel]);
    EXPECT_EQ(scale[channel].item<float>(), alone->calculate_qparams().first.item<float>());
  }
}

TEST(CalibrationObserversTest, AnotherNumberOfChannelsIsAnError) {
  ObserverOptions options;
  options.ch_axis = 0;
  for (const char* name : {"mse", "percentile", "MovingAveragePerChannelMinMaxObserver"}) {
    auto made = observer(name, options);
    made->forward(random({4, 8}));
    try {
      made->forward(random({1, 8}));
      ADD_FAILURE() << name;
    } catch (const c10::Error& error) {
      EXPECT_THAT(error.what(), HasSubstr("batch 1 has 1 channels here (ch_axis 0)")) << name;
    }
    made->reset();
    made->forward(random({1, 8}));
  }
}

TEST(CalibrationObserversTest, MseWithAveragingConstantForgets) {
  ObserverOptions options;
  options.averaging_constant = 0.5;
  auto mse = observer("mse", options);
  mse->forward(heavy_tails(1) * 8);
  for (uint64_t i = 0; i < 40; ++i) mse->forward(heavy_tails(2));
  auto alone = observer("mse");
  alone->forward(heavy_tails(2));
  EXPECT_NEAR(clip_of(*mse), clip_of(*alone), 1e-3);
}

TEST(CalibrationObserversTest, ThreadsChangeNothingAndMemoryStaysFlat) {
  const at::Tensor x = random({700000}, 5).pow(3);
  const int before = at::get_num_threads();
  for (const char* name : {"percentile", "mse", "kl", "mix", "clip_std", "min_max"}) {
    std::vector<float> clips;
    for (int threads : {1, 2, 3}) {
      at::set_num_threads(threads);
      auto made = observer(name);
      made->forward(x);
      clips.push_back(clip_of(*made));
      std::vector<int64_t> sizes;
      for (const auto& [key, tensor] : made->tensors()) sizes.push_back(tensor.numel());
      made->forward(x * 3);
      size_t i = 0;
      for (const auto& [key, tensor] : made->tensors())
        EXPECT_EQ(tensor.numel(), sizes[i++]) << key;
    }
    EXPECT_EQ(clips[0], clips[1]) << name;
    EXPECT_EQ(clips[0], clips[2]) << name;
  }
  at::set_num_threads(before);
}

TEST(CalibrationObserversTest, ZerosAndConstants) {
  for (const char* name : {"percentile", "mse", "kl", "mix", "clip_std"}) {
    auto made = observer(name);
    made->forward(at::zeros({100}));
    EXPECT_EQ(made->calculate_qparams().first.item<float>(), std::numeric_limits<float>::epsilon())
        << name;
    made = observer(name);
    made->forward(at::full({100}, 2.0F));
    EXPECT_NEAR(clip_of(*made), 2.0F, 1e-5) << name;
  }
}

TEST(CalibrationObserversTest, BadNumbersAreAllListed) {
  ObserverOptions options;
  options.percentile = 101;
  options.bins = 16;
  options.scale = 0;
  options.xmin = 2;
  const std::string message(make_observer("kl", options).status().message());
  for (const char* part : {"percentile 101", "bins 16", "scale 0", "xmin 2"}) {
    EXPECT_THAT(message, HasSubstr(part));
  }
}

// Half of what there is.
class HalfObserver : public Observer {
 public:
  using Observer::Observer;
  std::string_view class_name() const override { return "HalfObserver"; }

 protected:
  Ranges batch_ranges(const Batch& batch) const override {
    return {batch.seen.min * 0.5, batch.seen.max * 0.5};
  }
};

TEST(CalibrationObserversTest, ARegisteredClassIsUsedSavedAndLoaded) {
  const ObserverFactory factory = [](const ObserverOptions& options) {
    return std::make_shared<HalfObserver>(options);
  };
  ASSERT_TRUE(register_observer("HalfObserver", factory).ok());
  EXPECT_FALSE(register_observer("HalfObserver", factory).ok());
  EXPECT_FALSE(register_observer("mse", factory).ok());
  EXPECT_FALSE(register_observer("NoObserver", nullptr).ok());
  QConfigDict dict;
  dict.global = *get_default_calib_qconfig("qint8", {{"observer", "HalfObserver"}});
  const auto observed = prepare_calibration_fx(net(kConvReluLinear), dict);
  ASSERT_TRUE(observed.ok()) << observed.status();
  const at::Tensor x = random({2, 3, 8, 8});
  ASSERT_TRUE(observed->forward({x}).ok());
  const auto input =
      std::dynamic_pointer_cast<FakeQuantize>(observed->graph_module().module("x_fq"));
  EXPECT_FLOAT_EQ(input->scale().item<float>(), 0.5F * max_abs(x) / 127.5F);
  const std::string path = ::testing::TempDir() + "fxq_half_observer.fxq";
  ASSERT_TRUE(save(*observed, path).ok());
  const auto loaded = load_observed(path);
  std::filesystem::remove(path);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_TRUE(convert_fx(*loaded).ok());
}

}  // namespace
}  // namespace fxq
