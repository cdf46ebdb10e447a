// Pools and means against plain loops over logical integers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "program_run.h"

namespace fxq {
namespace {

using testing::Attrs;
using ::testing::HasSubstr;
using testing::integer_at;
using testing::ProgramBuilder;
using testing::random_integers;
using Dims = std::vector<int64_t>;

constexpr double kIn = 0.04;
constexpr double kOut = 0.03;

int average(int64_t sum, int64_t divisor, DType dtype, double scale_out = kOut) {
  const auto m = static_cast<float>(kIn / scale_out / static_cast<double>(divisor));
  const float low = dtype == DType::kU8 ? 0 : dtype == DType::kI8 ? -128 : -32768;
  const float high = dtype == DType::kU8 ? 255 : dtype == DType::kI8 ? 127 : 32767;
  return static_cast<int>(std::rint(std::min(std::max(static_cast<float>(sum) * m, low), high)));
}

struct PoolCase {
  Dims dims;
  int64_t kernel, stride, padding, dilation;
  bool ceil_mode, include_pad;
  int64_t divisor;  // 0 = none
};

// ATen's pooling_output_shape.
int64_t outputs_of(const PoolCase& c, int64_t extent) {
  const int64_t span = extent + 2 * c.padding - c.dilation * (c.kernel - 1) - 1;
  int64_t count = (span + (c.ceil_mode ? c.stride - 1 : 0)) / c.stride + 1;
  if (c.ceil_mode && (count - 1) * c.stride >= extent + c.padding) --count;
  return count;
}

// Calls visit(output index, taps, padded size) for each output in row-major order.
template <typename Visit>
void for_windows(const PoolCase& c, const Visit& visit) {
  const int64_t h = c.dims[2], w = c.dims[3];
  const int64_t ho = outputs_of(c, h), wo = outputs_of(c, w);
  for (int64_t i = 0; i < c.dims[0] * c.dims[1] * ho * wo; ++i) {
    const int64_t plane = i / (ho * wo), y0 = i / wo % ho * c.stride - c.padding,
                  x0 = i % wo * c.stride - c.padding;
    std::vector<int64_t> taps;
    for (int64_t y = 0; y < c.kernel; ++y) {
      for (int64_t x = 0; x < c.kernel; ++x) {
        const int64_t row = y0 + y * c.dilation, column = x0 + x * c.dilation;
        if (row >= 0 && row < h && column >= 0 && column < w) {
          taps.push_back((plane * h + row) * w + column);
        }
      }
    }
    const int64_t padded = (std::min(y0 + c.kernel, h + c.padding) - y0) *
                           (std::min(x0 + c.kernel, w + c.padding) - x0);
    visit(i, taps, padded);
  }
}

Attrs attrs_of(const PoolCase& c) {
  return {{"kernel_size", Dims{c.kernel, c.kernel}},
          {"stride", Dims{c.stride, c.stride}},
          {"padding", Dims{c.padding}},
          {"ceil_mode", c.ceil_mode},
          {"dilation", Dims{c.dilation}}};
}

const PoolCase kCases[] = {
    {{1, 64, 12, 13}, 3, 2, 1, 1, false, true, 0}, {{2, 3, 7, 7}, 2, 2, 0, 1, false, true, 0},
    {{1, 130, 5, 6}, 3, 2, 1, 1, true, true, 0},   {{1, 5, 6, 9}, 3, 2, 1, 1, true, false, 0},
    {{1, 5, 9, 9}, 2, 3, 0, 2, false, true, 0},    {{3, 1, 8, 8}, 5, 3, 2, 1, true, false, 7},
    {{1, 70, 4, 4}, 4, 4, 0, 1, false, true, 0},   {{1, 2, 1, 1}, 1, 1, 0, 1, false, true, 0},
    {{1, 40, 9, 11}, 3, 1, 1, 1, false, true, 0},  {{2, 33, 9, 8}, 3, 1, 1, 1, false, false, 0},
    {{1, 3, 17, 18}, 17, 1, 0, 1, false, true, 0}, {{1, 34, 8, 8}, 2, 1, 0, 1, false, true, -3},
    {{2, 10, 21, 20}, 2, 2, 0, 1, true, true, 0}};

std::vector<std::pair<PoolCase, double>> cases_by_scales(const std::vector<double>& scales) {
  std::vector<std::pair<PoolCase, double>> all;
  for (const PoolCase& c : kCases) {
    for (const double scale : scales) all.emplace_back(c, scale);
  }
  return all;
}

TEST(PoolingTest, MaxPool) {
  for (const PoolCase& c : kCases) {
    for (DType type : {DType::kU8, DType::kI8, DType::kI16}) {
      const HostTensor x = random_integers(type, c.dims, 1);
      ProgramBuilder b;
      const ValueId in = b.input("x", type);
      const auto outputs =
          testing::run(b.output({b.step("MaxPool", {in}, attrs_of(c), type)}), {x}, 2);
      ASSERT_EQ(outputs.size(), 1u);
      for_windows(c, [&](int64_t i, const std::vector<int64_t>& taps, int64_t) {
        int best = -32768;
        for (int64_t tap : taps) best = std::max(best, integer_at(x, tap));
        ASSERT_EQ(integer_at(outputs[0], i), best) << x.describe() << " at " << i;
      });
    }
  }
}

TEST(PoolingTest, AvgPool) {
  // The same scale on both sides is where sums tie: half to even.
  for (const auto& entry : cases_by_scales({kOut, kIn, 1.0})) {
    const PoolCase& c = entry.first;
    const double scale_out = entry.second;
    if (c.dilation != 1) continue;
    for (DType type : {DType::kU8, DType::kI8, DType::kI16}) {
      const HostTensor x = random_integers(type, c.dims, 1);
      Attrs attrs = attrs_of(c);
      attrs["count_include_pad"] = c.include_pad;
      attrs["scale_in"] = kIn;
      attrs["scale_out"] = scale_out;
      if (c.divisor != 0) attrs["divisor_override"] = c.divisor;
      ProgramBuilder b;
      const ValueId in = b.input("x", type);
      const auto outputs = testing::run(b.output({b.step("AvgPool", {in}, attrs, type)}), {x}, 3);
      ASSERT_EQ(outputs.size(), 1u);
      for_windows(c, [&](int64_t i, const std::vector<int64_t>& taps, int64_t padded) {
        int64_t sum = 0;
        for (int64_t tap : taps) sum += integer_at(x, tap);
        int64_t divisor = c.include_pad ? padded : static_cast<int64_t>(taps.size());
        if (c.divisor != 0) divisor = c.divisor;
        ASSERT_EQ(integer_at(outputs[0], i), average(sum, divisor, type, scale_out))
            << x.describe() << " " << i << " scale " << scale_out;
      });
    }
  }
}

TEST(PoolingTest, AdaptiveAvgPool) {
  const HostTensor x = random_integers(DType::kI8, {2, 66, 7, 10}, 1);
  for (const Dims& size : {Dims{1, 1}, Dims{3, 4}, Dims{7, -1}, Dims{9, 11}}) {
    ProgramBuilder b;
    const ValueId in = b.input("x", DType::kI8);
    const Attrs attrs = {{"output_size", size}, {"scale_in", kIn}, {"scale_out", kOut}};
    const auto outputs =
        testing::run(b.output({b.step("AdaptiveAvgPool", {in}, attrs, DType::kI8)}), {x}, 2);
    ASSERT_EQ(outputs.size(), 1u);
    const int64_t ho = size[0], wo = size[1] < 0 ? 10 : size[1];
    ASSERT_EQ(outputs[0].dims(), (Dims{2, 66, ho, wo}));
    for (int64_t i = 0; i < outputs[0].numel(); ++i) {
      const int64_t plane = i / (ho * wo), y = i / wo % ho, z = i % wo;
      int64_t sum = 0, count = 0;
      for (int64_t r = y * 7 / ho; r < ((y + 1) * 7 + ho - 1) / ho; ++r) {
        for (int64_t c = z * 10 / wo; c < ((z + 1) * 10 + wo - 1) / wo; ++c, ++count) {
          sum += integer_at(x, (plane * 7 + r) * 10 + c);
        }
      }
      ASSERT_EQ(integer_at(outputs[0], i), average(sum, count, DType::kI8)) << i;
    }
  }
}

TEST(PoolingTest, OneSpatialAxis) {
  const HostTensor x = random_integers(DType::kU8, {2, 3, 11}, 1);
  ProgramBuilder b;
  const ValueId in = b.input("x", DType::kU8);
  const ValueId m = b.step("MaxPool", {in}, {{"kernel_size", Dims{2}}}, DType::kU8);
  const ValueId a =
      b.step("AdaptiveAvgPool", {in},
             {{"output_size", Dims{1}}, {"scale_in", kIn}, {"scale_out", kOut}}, DType::kU8);
  const auto outputs = testing::run(b.output({m, a}), {x});
  ASSERT_EQ(outputs.size(), 2u);
  ASSERT_EQ(outputs[0].dims(), (Dims{2, 3, 5}));
  ASSERT_EQ(outputs[1].dims(), (Dims{2, 3, 1}));
  for (int64_t row = 0; row < 6; ++row) {
    int64_t sum = 0;
    for (int64_t i = 0; i < 11; ++i) sum += integer_at(x, row * 11 + i);
    EXPECT_EQ(integer_at(outputs[1], row), average(sum, 11, DType::kU8));
    for (int64_t i = 0; i < 5; ++i) {
      EXPECT_EQ(integer_at(outputs[0], row * 5 + i),
                std::max(integer_at(x, row * 11 + 2 * i), integer_at(x, row * 11 + 2 * i + 1)));
    }
  }
}

TEST(PoolingTest, MeanOverAnyAxes) {
  for (const Dims& dims : {Dims{2, 67, 5, 6}, Dims{3, 4, 5}, Dims{4, 9}, Dims{6}}) {
    for (unsigned mask = 1; mask < 1U << dims.size(); ++mask) {
      for (DType type : {DType::kU8, DType::kI8, DType::kI16}) {
        const bool keepdim = mask % 2 == 0;
        Dims reduced;
        Dims out;
        int64_t count = 1;
        for (size_t d = 0; d < dims.size(); ++d) {
          if ((mask >> d & 1) != 0) {
            reduced.push_back(static_cast<int64_t>(d) - static_cast<int64_t>(dims.size()));
            count *= dims[d];
          }
          if ((mask >> d & 1) == 0) out.push_back(dims[d]);
          if ((mask >> d & 1) != 0 && keepdim) out.push_back(1);
        }
        const HostTensor x = random_integers(type, dims, mask);
        ProgramBuilder b;
        const ValueId in = b.input("x", type);
        const Attrs attrs = {
            {"dims", reduced}, {"keepdim", keepdim}, {"scale_in", kIn}, {"scale_out", kOut}};
        const auto outputs = testing::run(b.output({b.step("Mean", {in}, attrs, type)}), {x}, 2);
        ASSERT_EQ(outputs.size(), 1u);
        ASSERT_EQ(outputs[0].dims(), out);
        std::vector<int64_t> sums(static_cast<size_t>(outputs[0].numel()), 0);
        for (int64_t i = 0; i < x.numel(); ++i) {
          int64_t rest = i, at = 0, stride = 1;
          for (size_t d = dims.size(); d-- > 0;) {
            if ((mask >> d & 1) == 0) {
              at += rest % dims[d] * stride;
              stride *= dims[d];
            }
            rest /= dims[d];
          }
          sums[static_cast<size_t>(at)] += integer_at(x, i);
        }
        for (size_t i = 0; i < sums.size(); ++i) {
          ASSERT_EQ(integer_at(outputs[0], static_cast<int64_t>(i)), average(sums[i], count, type))
              << x.describe() << " mask " << mask;
        }
      }
    }
  }
}

TEST(PoolingTest, RefusesImpossibleWindows) {
  ProgramBuilder b;
  const ValueId in = b.input("x", DType::kU8);
  const Program program =
      b.output({b.step("MaxPool", {in}, {{"kernel_size", Dims{5}}}, DType::kU8)});
  const absl::Status status = testing::run_status(program, {HostTensor(DType::kU8, {1, 2, 3, 9})});
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("too small for kernel_size 5"));
}

TEST(PoolingTest, RefusesInputsWithoutPixels) {
  for (const char* kernel : {"MaxPool", "AvgPool", "AdaptiveAvgPool"}) {
    for (const Dims& dims : {Dims{}, Dims{3}}) {
      ProgramBuilder b;
      const ValueId in = b.input("x", DType::kU8);
      const Attrs attrs = {{"kernel_size", Dims{1}}, {"output_size", Dims{1}}};
      const Program program = b.output({b.step(kernel, {in}, attrs, DType::kU8)});
      const absl::Status status = testing::run_status(program, {HostTensor(DType::kU8, dims)});
      EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << kernel << status;
    }
  }
}

}  // namespace
}  // namespace fxq
