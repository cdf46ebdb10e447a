// Every route of Conv, ConvTranspose and Linear against the scalar definition: no element may
// differ, on any number of threads.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <functional>
#include <random>

#include "conv_case.h"
#include "fxq/runtime/isa.h"

namespace fxq {
namespace {

using Dims = std::vector<int64_t>;

ConvCase conv(Dims x, Dims weight, Dims stride = {}, Dims padding = {}, int64_t groups = 1,
              Dims dilation = {}) {
  ConvCase c;
  c.x = std::move(x);
  c.weight = std::move(weight);
  c.stride = std::move(stride);
  c.padding = std::move(padding);
  c.groups = groups;
  c.dilation = std::move(dilation);
  return c;
}

ConvCase transposed(Dims x, Dims weight, Dims stride, Dims padding, int64_t groups = 1,
                    Dims output_padding = {}, Dims dilation = {}) {
  ConvCase c = conv(std::move(x), std::move(weight), std::move(stride), std::move(padding), groups,
                    std::move(dilation));
  c.kernel = "ConvTranspose";
  c.output_padding = std::move(output_padding);
  return c;
}

ConvCase linear(Dims x, Dims weight) {
  ConvCase c = conv(std::move(x), std::move(weight));
  c.kernel = "Linear";
  return c;
}

std::vector<ConvCase> convolutions() {
  return {conv({1, 8, 1, 1}, {28, 8, 1, 1}),
          conv({3, 8, 5, 7}, {33, 8, 1, 1}),
          conv({2, 64, 9, 9}, {64, 64, 1, 1}, {2, 2}),
          conv({1, 16, 12, 11}, {64, 16, 3, 3}, {2, 2}, {1, 1}),
          conv({1, 64, 14, 14}, {64, 64, 3, 3}, {}, {1, 1}),
          conv({2, 3, 33, 30}, {64, 3, 7, 7}, {2, 2}, {3, 3}),
          conv({1, 3, 32, 32}, {10, 3, 3, 3}, {2, 2}, {1, 1}),
          conv({2, 28, 17, 19}, {33, 28, 3, 3}, {}, {2, 2}, 1, {2, 2}),
          conv({1, 10, 9, 9}, {10, 1, 5, 5}, {}, {2, 2}, 10),
          conv({3, 33, 8, 8}, {33, 1, 3, 3}, {2, 2}, {1, 1}, 33),
          conv({1, 64, 20, 20}, {64, 1, 3, 3}, {}, {1, 1}, 64),
          conv({2, 192, 5, 70}, {192, 1, 3, 3}, {}, {1, 1}, 192),
          conv({1, 130, 9, 9}, {130, 1, 5, 5}, {}, {2, 2}, 130),
          conv({1, 128, 9, 9}, {128, 1, 7, 7}, {2, 2}, {3, 3}, 128),
          conv({1, 64, 9, 9}, {64, 1, 3, 5}, {2, 1}, {0, 1, 2, 3}, 64, {2, 1}),
          conv({1, 64, 10, 10}, {64, 8, 3, 3}, {}, {1, 1}, 8),
          conv({2, 12, 12, 12}, {24, 3, 3, 3}, {}, {1, 1}, 4),
          conv({1, 6, 8, 8}, {12, 1, 3, 3}, {}, {1, 1}, 6),
          conv({1, 1, 7, 7}, {1, 1, 3, 3}, {}, {1, 1}),
          conv({1, 1, 1, 1}, {1, 1, 1, 1}),
          conv({1, 8, 9, 10}, {16, 8, 3, 3}, {2, 1}, {0, 2, 1, 1}),
          conv({1, 8, 4, 4}, {16, 8, 3, 3}, {3, 3}, {2, 2}),
          conv({1, 8, 2, 2}, {16, 8, 1, 1}, {}, {2, 2}),
          conv({1, 4, 1, 9}, {8, 4, 1, 3}, {1, 2}, {0, 1}),
          conv({1, 192, 5, 5}, {384, 192, 3, 3}, {}, {1, 1}),
          conv({2, 8, 15}, {16, 8, 3}, {2}, {1}),
          conv({1, 8, 6, 7, 8}, {16, 8, 3, 3, 3}, {2, 1, 1}, {1, 1, 1}),
          conv({2, 3, 5, 6, 7}, {8, 3, 2, 3, 3}, {}, {1, 0, 1})};
}

std::vector<ConvCase> transposed_convolutions() {
  return {transposed({1, 16, 7, 7}, {16, 8, 2, 2}, {2, 2}, {}),
          transposed({2, 28, 6, 5}, {28, 10, 4, 4}, {2, 2}, {1, 1}),
          transposed({1, 32, 5, 5}, {32, 16, 3, 3}, {2, 2}, {1, 1}, 1, {1, 1}),
          transposed({1, 8, 5, 5}, {8, 1, 4, 4}, {2, 2}, {1, 1}, 8),
          transposed({1, 8, 5, 5}, {8, 6, 3, 3}, {}, {1, 1}, 2, {}, {2, 2}),
          transposed({1, 8, 9}, {8, 4, 4}, {2}, {1}),
          transposed({1, 4, 3, 4, 3}, {4, 6, 2, 2, 2}, {2, 2, 2}, {})};
}

std::vector<ConvCase> linears() {
  return {linear({1, 512}, {1000, 512}), linear({7, 33}, {10, 33}),    linear({5}, {3, 5}),
          linear({64, 96}, {128, 96}),   linear({2, 5, 24}, {40, 24}), linear({2, 3, 4, 8}, {6, 8}),
          linear({1, 1}, {1, 1})};
}

// Each shape with each form of output and epilogue.
std::vector<ConvCase> with_epilogues(const std::vector<ConvCase>& shapes) {
  std::vector<ConvCase> cases;
  const auto add = [&](ConvCase c, DType x, DType out, const char* act, bool bias, bool has_other,
                       DType other) {
    c.x_type = x;
    c.output = out;
    c.activation = act;
    c.bias = bias;
    c.has_other = has_other;
    c.other = other;
    cases.push_back(std::move(c));
  };
  for (const ConvCase& c : shapes) {
    add(c, DType::kU8, DType::kU8, "relu", true, false, DType::kU8);
    add(c, DType::kU8, DType::kI8, "", false, false, DType::kU8);
    add(c, DType::kI8, DType::kU8, "relu6", true, false, DType::kU8);
    add(c, DType::kI8, DType::kI8, "", true, true, DType::kI8);
    add(c, DType::kU8, DType::kU8, "relu", true, true, DType::kU8);
    add(c, DType::kU8, DType::kU8, "relu6", true, true, DType::kI8);
    add(c, DType::kI8, DType::kI8, "relu", false, true, DType::kU8);
    add(c, DType::kI8, DType::kF32, "", true, false, DType::kU8);
    add(c, DType::kU8, DType::kF32, "relu", false, false, DType::kU8);
    add(c, DType::kU8, DType::kI16, "", true, true, DType::kI16);
  }
  return cases;
}

void expect_exact(const ConvCase& c) {
  const ConvData data = make_data(c);
  for (int threads = 1; threads <= 3; ++threads) {
    for (const bool in_place : {false, true}) {
      if (in_place && !c.has_other) continue;
      const ConvRun run = run_kernel(data, {threads, in_place});
      ASSERT_TRUE(run.status.ok()) << c << ": " << run.status;
      EXPECT_EQ(differences(run.output, data.expected), 0)
          << c << " by " << run.implementation << ", threads " << threads;
    }
  }
}

TEST(Conv, EqualsTheDefinition) {
  for (const ConvCase& c : with_epilogues(convolutions())) expect_exact(c);
}

TEST(ConvTranspose, EqualsTheDefinition) {
  for (const ConvCase& c : with_epilogues(transposed_convolutions())) expect_exact(c);
}

TEST(Linear, EqualsTheDefinition) {
  for (const ConvCase& c : with_epilogues(linears())) expect_exact(c);
}

TEST(Conv, SixteenBitsEqualTheDefinition) {
  for (ConvCase c :
       {conv({2, 6, 7, 8}, {9, 6, 3, 3}, {2, 2}, {1, 1}),
        conv({1, 8, 6, 6}, {8, 1, 3, 3}, {}, {1, 1}, 8), linear({3, 40}, {5, 40}),
        linear({2, 3, 40}, {5, 40}), transposed({1, 4, 5, 5}, {4, 6, 3, 3}, {2, 2}, {1, 1})}) {
    for (const DType output : {DType::kI16, DType::kI8, DType::kF32}) {
      c.output = output;
      c.x_type = DType::kI16;
      expect_exact(c);
      c.weight_type = DType::kI16;
      expect_exact(c);
      c.x_type = DType::kI8;
      expect_exact(c);
      c.weight_type = DType::kI8;
    }
  }
}

TEST(Conv, SumsBeyondFloatPrecisionStayExact) {
  for (ConvCase c :
       {conv({1, 512, 5, 5}, {64, 512, 3, 3}, {}, {1, 1}), linear({2, 8192}, {64, 8192}),
        conv({1, 1024, 4, 4}, {32, 512, 3, 3}, {}, {}, 2)}) {
    c.extreme = true;
    for (const DType output : {DType::kU8, DType::kI8, DType::kF32}) {
      c.output = output;
      c.x_type = DType::kU8;
      expect_exact(c);
      c.x_type = DType::kI8;
      expect_exact(c);
    }
  }
}

// Layers of resnet18 and mobilenet_v2, and channel counts that fit no vector.
std::vector<ConvCase> real_layers() {
  return {conv({1, 3, 28, 28}, {64, 3, 7, 7}, {2, 2}, {3, 3}),
          conv({1, 64, 14, 14}, {64, 64, 3, 3}, {}, {1, 1}),
          conv({1, 128, 8, 8}, {256, 128, 3, 3}, {2, 2}, {1, 1}),
          conv({1, 64, 14, 14}, {128, 64, 1, 1}, {2, 2}),
          conv({1, 512, 3, 3}, {512, 512, 3, 3}, {}, {1, 1}),
          conv({1, 3, 28, 28}, {32, 3, 3, 3}, {2, 2}, {1, 1}),
          conv({1, 32, 14, 14}, {32, 1, 3, 3}, {}, {1, 1}, 32),
          conv({1, 96, 14, 14}, {96, 1, 3, 3}, {2, 2}, {1, 1}, 96),
          conv({1, 16, 14, 14}, {96, 16, 1, 1}),
          conv({1, 320, 7, 7}, {1280, 320, 1, 1}),
          conv({1, 3, 9, 9}, {10, 3, 3, 3}, {}, {1, 1}),
          conv({1, 10, 9, 9}, {28, 10, 3, 3}, {}, {1, 1}),
          conv({1, 28, 9, 9}, {33, 28, 3, 3}, {2, 2}, {1, 1}),
          conv({1, 33, 9, 9}, {1, 33, 1, 1}),
          conv({1, 33, 9, 9}, {33, 1, 5, 5}, {}, {2, 2}, 33),
          linear({1, 512}, {1000, 512}),
          linear({1, 28}, {10, 28})};
}

TEST(Conv, RealLayersGetFastKernels) {
  for (const ConvCase& shape : with_epilogues(real_layers())) {
    ConvCase c = shape;
    c.bias = false;
    const ConvRun run = run_kernel(make_data(c), {});
    ASSERT_TRUE(run.status.ok()) << c << ": " << run.status;
    EXPECT_THAT(run.implementation, ::testing::Not(::testing::HasSubstr("ref"))) << c;
    EXPECT_THAT(run.implementation, ::testing::Not(::testing::StartsWith("own"))) << c;
    const bool whole_map_of_floats = c.output == DType::kF32 && c.x.size() == 4;
    if (has_vnni() && c.output != DType::kI16 && !whole_map_of_floats) {
      const bool residual_apart = effective_isa() == Isa::kAvx2Vnni && c.has_other && c.groups > 1;
      EXPECT_EQ(run.implementation.find("epilogue") != std::string::npos, residual_apart) << c;
    }
  }
}

TEST(Conv, WorkIsCutForThreads) {
  const ConvData rows = make_data(conv({1, 32, 28, 28}, {32, 32, 3, 3}, {}, {1, 1}));
  const ConvData channels = make_data(conv({1, 192, 5, 5}, {192, 192, 3, 3}, {}, {1, 1}));
  for (int threads = 1; threads <= 3; ++threads) {
    EXPECT_GE(run_kernel(rows, {threads}).slices, threads);
    EXPECT_GE(run_kernel(channels, {threads}).slices, threads);
  }
  EXPECT_EQ(run_kernel(make_data(conv({1, 8, 3, 3}, {8, 8, 1, 1})), {3}).slices, 1);
}

// A broken step, and words that its error must contain.
struct Broken {
  std::function<void(ConvData&)> breaks;
  std::vector<std::string> says;
};

TEST(Conv, BrokenStepsAreRefused) {
  const std::vector<Broken> all = {
      {[](ConvData& d) { d.step.attrs["dtype"] = int64_t{8}; }, {"'case'", "dtype"}},
      {[](ConvData& d) { d.step.attrs["dtype"] = std::string("i64"); }, {"i64"}},
      {[](ConvData& d) {
         d.step.attrs["stride"] = std::vector<int64_t>{0, 1};
       },
       {"stride"}},
      {[](ConvData& d) { d.step.attrs["stride"] = std::vector<int64_t>{1}; }, {"stride"}},
      {[](ConvData& d) {
         d.step.attrs["padding"] = std::vector<int64_t>{-1, 1};
       },
       {"padding"}},
      {[](ConvData& d) {
         d.step.attrs["dilation"] = std::vector<int64_t>{1 << 30, 1};
       },
       {"dilation"}},
      {[](ConvData& d) {
         d.step.attrs["dilation"] = std::vector<int64_t>{9, 9};
       },
       {"does not fit"}},
      {[](ConvData& d) { d.step.attrs["groups"] = int64_t{3}; }, {"groups = 3"}},
      {[](ConvData& d) { d.step.attrs["groups"] = int64_t{0}; }, {"groups = 0"}},
      {[](ConvData& d) { d.step.attrs["activation"] = std::string("gelu"); }, {"gelu"}},
      {[](ConvData& d) { d.step.attrs["activation"] = std::string("relu6"); }, {"clip_hi"}},
      {[](ConvData& d) { d.step.attrs.erase("other_scale"); }, {"other_scale"}},
      {[](ConvData& d) {
         d.inputs[0] = HostTensor(DType::kF32, {1, 8, 5, 5});
       },
       {"input x", "f32"}},
      {[](ConvData& d) {
         d.inputs[0] = HostTensor(DType::kU8, {8, 5});
       },
       {"rank"}},
      {[](ConvData& d) {
         d.inputs[1] = HostTensor(DType::kF32, {4, 8, 3, 3});
       },
       {"weight", "f32"}},
      {[](ConvData& d) {
         d.inputs[1] = HostTensor(DType::kI8, {4, 8, 3});
       },
       {"rank"}},
      {[](ConvData& d) {
         d.inputs[1] = HostTensor(DType::kI8, {0, 8, 3, 3});
       },
       {"0"}},
      {[](ConvData& d) { d.inputs[2] = HostTensor(DType::kF32, {5}); },
       {"multiplier", "4 channels"}},
      {[](ConvData& d) { d.inputs[3] = HostTensor(DType::kI32, {1}); }, {"bias", "4 channels"}},
      {[](ConvData& d) { d.inputs[3] = HostTensor(DType::kF32, {4}); }, {"bias", "f32"}},
      {[](ConvData& d) {
         d.inputs[4] = HostTensor(DType::kU8, {1, 4, 5, 4});
       },
       {"other"}},
      {[](ConvData& d) {
         d.inputs[4] = HostTensor(DType::kI16, {1, 4, 5, 5});
       },
       {"other"}},
      {[](ConvData& d) { d.step.inputs[1] = kNoValue; }, {"weight", "missing"}},
      {[](ConvData& d) {
         d.step.attrs["dtype"] = std::string("u4");
         d.step.attrs["stride"] = std::vector<int64_t>{0};
       },
       {"stride", "u4"}}};
  ConvCase c = conv({1, 8, 5, 5}, {4, 8, 3, 3}, {}, {1, 1});
  c.has_other = true;
  for (const Broken& broken : all) {
    ConvData data = make_data(c);
    broken.breaks(data);
    const ConvRun run = run_kernel(data, {});
    EXPECT_EQ(run.status.code(), absl::StatusCode::kInvalidArgument);
    for (const std::string& word : broken.says) {
      EXPECT_THAT(std::string(run.status.message()), ::testing::HasSubstr(word));
    }
  }
}

// Shapes nobody thought of. FXQ_FUZZ=100000 searches longer; a seed is its case's number.
ConvCase random_case(uint32_t seed) {
  std::mt19937 random(seed);
  const auto pick = [&](std::vector<int64_t> from) { return from[random() % from.size()]; };
  const auto below = [&](int64_t n) { return static_cast<int64_t>(random() % n); };
  ConvCase c;
  const int64_t groups = pick({1, 1, 1, 2, 3, 8, 16, 32, 64, 100, 190});
  const bool many = groups > 32;
  const int64_t in = many || random() % 3 == 0 ? 1 : pick({1, 2, 3, 4, 5, 8, 13, 16, 28, 33, 64});
  const int64_t out = many || random() % 3 == 0 ? 1 : pick({1, 2, 3, 4, 7, 8, 10, 16, 31, 48, 64});
  const bool is_transposed = random() % 6 == 0;
  const Dims kernel = {1 + below(5), 1 + below(5)};
  const Dims dilation = {1 + below(4) / 3, 1 + below(4) / 3};
  const Dims extent = {dilation[0] * (kernel[0] - 1) + 1, dilation[1] * (kernel[1] - 1) + 1};
  const Dims x = {1 + below(3), in * groups, extent[0] + below(9), extent[1] + below(9)};
  const Dims stride = {1 + below(3), 1 + below(3)};
  const Dims padding = {below(extent[0] / 2 + 1), below(extent[1] / 2 + 1)};
  if (is_transposed) {
    c = transposed(x, {in * groups, out, kernel[0], kernel[1]}, stride, padding, groups, {},
                   dilation);
  } else {
    c = conv(x, {out * groups, in, kernel[0], kernel[1]}, stride, padding, groups, dilation);
  }
  c.x_type = random() % 2 ? DType::kI8 : DType::kU8;
  c.output = random() % 2 ? DType::kI8 : DType::kU8;
  if (random() % 8 == 0) c.output = DType::kF32;
  c.activation = std::vector<std::string>{"", "relu", "relu6"}[random() % 3];
  c.bias = random() % 2;
  c.has_other = c.output != DType::kF32 && random() % 2;
  c.other = random() % 2 ? DType::kI8 : DType::kU8;
  return c;
}

TEST(Conv, RandomShapesEqualTheDefinition) {
  const char* const wanted = std::getenv("FXQ_FUZZ");
  const uint32_t cases = wanted ? static_cast<uint32_t>(std::atoi(wanted)) : 100;
  for (uint32_t seed = 0; seed < cases; ++seed) {
    SCOPED_TRACE(seed);
    expect_exact(random_case(seed));
  }
}

}  // namespace
}  // namespace fxq
