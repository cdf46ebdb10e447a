// Elementwise kernels against their formulas, written here on logical row-major integers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>
#include <numeric>

#include "fxq/base/exp.h"
#include "fxq/runtime/storage.h"
#include "program_run.h"

namespace fxq {
namespace {

using testing::Attrs;
using testing::integer_at;
using testing::integers;
using testing::kTypes;
using testing::ProgramBuilder;
using testing::random_floats;
using testing::random_integers;
using Dims = std::vector<int64_t>;

int saturate(float p, DType dtype) {
  const float low = dtype == DType::kU8 ? 0 : dtype == DType::kI8 ? -128 : -32768;
  const float high = dtype == DType::kU8 ? 255 : dtype == DType::kI8 ? 127 : 32767;
  return static_cast<int>(std::rint(std::min(std::max(p, low), high)));
}

float activate(float p, const std::string& activation, float clip_hi) {
  if (activation.empty()) return p;
  p = std::max(p, 0.0F);
  return activation == "relu6" ? std::min(p, clip_hi) : p;
}

// The element of `x` that broadcasting puts at position `i` of an output of `dims`.
int broadcast_at(const HostTensor& x, const Dims& dims, int64_t i) {
  int64_t offset = 0;
  int64_t stride = 1;
  for (size_t d = dims.size(); d-- > 0;) {
    const int64_t index = i % dims[d];
    i /= dims[d];
    const int64_t missing = static_cast<int64_t>(dims.size() - x.dims().size());
    if (static_cast<int64_t>(d) < missing) continue;
    const int64_t extent = x.dims()[d - missing];
    offset += (extent == 1 ? 0 : index) * stride;
    stride *= extent;
  }
  return integer_at(x, offset);
}

struct BinaryCase {
  Dims a, b, out;
};

float binary(const std::string& op, int a, int b, double sa, double sb, double so) {
  const auto x = static_cast<float>(a);
  const auto y = static_cast<float>(b);
  if (op == "Mul") return (x * y) * static_cast<float>(sa * sb / so);
  const auto mb = static_cast<float>(sb / so);
  return std::fma(op == "Sub" ? -mb : mb, y, x * static_cast<float>(sa / so));
}

void check_binary(const std::string& op, const BinaryCase& c, DType ta, DType tb, DType to,
                  const std::string& activation, int threads) {
  const double sa = 0.031, sb = 0.27, so = op == "Mul" ? 1.7 : 0.19;
  ProgramBuilder b;
  const ValueId x = b.input("a", ta);
  const ValueId y = b.input("b", tb);
  const Attrs attrs = {{"scale_a", sa},   {"scale_b", sb},
                       {"scale_out", so}, {"activation", activation},
                       {"clip_hi", 20.5}, {"dtype", std::string(dtype_name(to))}};
  const Program program = b.output({b.step(op, {x, y}, attrs, to)});
  const HostTensor ia = random_integers(ta, c.a, 1);
  const HostTensor ib = random_integers(tb, c.b, 2);
  const auto outputs = testing::run(program, {ia, ib}, threads);
  ASSERT_EQ(outputs.size(), 1u);
  ASSERT_EQ(outputs[0].dims(), c.out);
  for (int64_t i = 0; i < outputs[0].numel(); ++i) {
    const float p = binary(op, broadcast_at(ia, c.out, i), broadcast_at(ib, c.out, i), sa, sb, so);
    ASSERT_EQ(integer_at(outputs[0], i), saturate(activate(p, activation, 20.5F), to))
        << op << " at " << i << " of " << outputs[0].describe();
  }
}

TEST(ElementwiseTest, BinaryOpsBroadcastAndSaturate) {
  const BinaryCase cases[] = {{{2, 5, 4, 3}, {2, 5, 4, 3}, {2, 5, 4, 3}},
                              {{2, 5, 4, 3}, {2, 5, 1, 1}, {2, 5, 4, 3}},
                              {{2, 1, 4, 3}, {2, 5, 4, 3}, {2, 5, 4, 3}},
                              {{5, 1, 1}, {2, 5, 4, 3}, {2, 5, 4, 3}},
                              {{2, 5, 4, 1}, {3}, {2, 5, 4, 3}},
                              {{1}, {7}, {7}},
                              {{}, {}, {}},
                              {{3, 1}, {1, 4}, {3, 4}},
                              {{2, 3, 2, 2, 2}, {1, 3, 1, 1, 1}, {2, 3, 2, 2, 2}}};
  for (const char* op : {"Add", "Sub", "Mul"}) {
    for (const BinaryCase& c : cases) {
      for (DType type : kTypes) check_binary(op, c, type, type, type, "", 1);
      check_binary(op, c, DType::kU8, DType::kI8, DType::kI8, "relu6", 1);
      check_binary(op, c, DType::kI8, DType::kI8, DType::kU8, "relu", 1);
      check_binary(op, c, DType::kI16, DType::kU8, DType::kI8, "", 1);
      check_binary(op, c, DType::kI8, DType::kI16, DType::kI16, "relu", 1);
    }
    const BinaryCase large = {{1, 67, 40, 41}, {1, 67, 40, 41}, {1, 67, 40, 41}};
    const BinaryCase gate = {{2, 67, 40, 41}, {2, 67, 1, 1}, {2, 67, 40, 41}};
    for (int threads : {1, 2, 3}) {
      check_binary(op, large, DType::kI8, DType::kU8, DType::kI8, "", threads);
      check_binary(op, gate, DType::kU8, DType::kU8, DType::kU8, "", threads);
    }
  }
}

// A chain whose intermediate values die at once, so that every add runs in place.
TEST(ElementwiseTest, InPlaceChainsAreExact) {
  ProgramBuilder b;
  const ValueId x = b.input("x", DType::kF32);
  const ValueId q = b.step("Quantize", {x}, {{"scale", 0.1}, {"dtype", "i8"}}, DType::kI8);
  const ValueId r = b.step("Requantize", {q}, {{"scale_in", 0.1}, {"scale_out", 0.07}}, DType::kI8);
  const Attrs add = {{"scale_a", 0.07}, {"scale_b", 0.1}, {"scale_out", 0.13}};
  const ValueId s = b.step("Add", {r, q}, add, DType::kI8);
  const ValueId t = b.step("Relu6", {s}, {{"hi", int64_t{46}}}, DType::kI8);
  const Program program = b.output({t});
  const HostTensor input = random_floats({1, 100, 9, 9}, 6.0F, 3);
  const auto outputs = testing::run(program, {input}, 2);
  ASSERT_EQ(outputs.size(), 1u);
  const float inverse = 1.0F / 0.1F;
  for (int64_t i = 0; i < input.numel(); ++i) {
    const int a = saturate(input.data<float>()[i] * inverse, DType::kI8);
    const int c = saturate(static_cast<float>(a) * static_cast<float>(0.1 / 0.07), DType::kI8);
    const int d = saturate(binary("Add", c, a, 0.07, 0.1, 0.13), DType::kI8);
    ASSERT_EQ(integer_at(outputs[0], i), std::min(std::max(d, 0), 46)) << i;
  }
  auto executor = Executor::create(program);
  ASSERT_TRUE(executor.ok());
  const auto info = (*executor)->describe({{{1, 100, 9, 9}}});
  ASSERT_TRUE(info.ok());
  // Two buffers at most live at once: q and what is made of it.
  EXPECT_LE(info->arena_bytes, 2u * 8128u);
}

TEST(ElementwiseTest, QuantizeKeepsItsPromiseOnHardValues) {
  const std::vector<float> hard = {0.0F,   -0.0F,  0.05F,  0.15F,    0.25F,     -0.05F, 1e30F,
                                   -1e30F, NAN,    -NAN,   INFINITY, -INFINITY, 12.75F, -12.85F,
                                   25.45F, 25.55F, 1e-40F, 3276.75F, -3276.85F, 0.35F};
  HostTensor x(DType::kF32, {1, 4, 5, 1});
  std::copy(hard.begin(), hard.end(), x.mutable_data<float>().begin());
  for (DType type : kTypes) {
    ProgramBuilder b;
    const ValueId in = b.input("x", DType::kF32);
    const ValueId q =
        b.step("Quantize", {in}, {{"scale", 0.1}, {"dtype", std::string(dtype_name(type))}}, type);
    const ValueId y = b.step("Dequantize", {q}, {{"scale", 0.1}}, DType::kF32);
    const auto outputs = testing::run(b.output({q, y}), {x});
    ASSERT_EQ(outputs.size(), 2u);
    for (size_t i = 0; i < hard.size(); ++i) {
      const float p = hard[i] * (1.0F / 0.1F);
      const int expected = std::isnan(p) ? 0 : saturate(p, type);
      EXPECT_EQ(integer_at(outputs[0], static_cast<int64_t>(i)), expected) << hard[i];
      EXPECT_EQ(outputs[1].data<float>()[i], static_cast<float>(expected) * 0.1F);
    }
  }
}

TEST(ElementwiseTest, QuantizeAndDequantizeTransposeAnyShape) {
  for (const Dims& dims : {Dims{}, Dims{7}, Dims{3, 5}, Dims{2, 17, 131}, Dims{2, 3, 24, 17},
                           Dims{1, 40, 15, 15}, Dims{1, 3, 2, 4, 5}, Dims{2, 2, 2, 2, 2, 2}}) {
    for (DType type : kTypes) {
      ProgramBuilder b;
      const ValueId in = b.input("x", DType::kF32);
      const ValueId q = b.step("Quantize", {in},
                               {{"scale", 0.1}, {"dtype", std::string(dtype_name(type))}}, type);
      const ValueId y = b.step("Dequantize", {q}, {{"scale", 0.1}}, DType::kF32);
      const HostTensor x = random_floats(dims, 9.0F, 5);
      for (int threads : {1, 3}) {
        const auto outputs = testing::run(b.output({y}), {x}, threads);
        ASSERT_EQ(outputs.size(), 1u);
        for (int64_t i = 0; i < x.numel(); ++i) {
          const int q_i = saturate(x.data<float>()[i] * (1.0F / 0.1F), type);
          ASSERT_EQ(outputs[0].data<float>()[i], static_cast<float>(q_i) * 0.1F) << i;
        }
      }
    }
  }
}

TEST(ElementwiseTest, RequantizeAndReluBetweenAllTypes) {
  for (DType from : kTypes) {
    const HostTensor x = random_integers(from, {2, 5, 3, 67}, 9);
    for (DType to : kTypes) {
      ProgramBuilder b;
      const ValueId in = b.input("x", from);
      const Attrs attrs = {
          {"scale_in", 0.11}, {"scale_out", 0.07}, {"dtype", std::string(dtype_name(to))}};
      const auto outputs = testing::run(b.output({b.step("Requantize", {in}, attrs, to)}), {x});
      ASSERT_EQ(outputs.size(), 1u);
      for (int64_t i = 0; i < x.numel(); ++i) {
        const float p = static_cast<float>(integer_at(x, i)) * static_cast<float>(0.11 / 0.07);
        ASSERT_EQ(integer_at(outputs[0], i), saturate(p, to));
      }
    }
    ProgramBuilder b;
    const ValueId in = b.input("x", from);
    const ValueId relu = b.step("Relu", {in}, {}, from);
    const ValueId relu6 = b.step("Relu6", {in}, {{"hi", int64_t{100}}}, from);
    const auto outputs = testing::run(b.output({relu, relu6}), {x});
    ASSERT_EQ(outputs.size(), 2u);
    for (int64_t i = 0; i < x.numel(); ++i) {
      const int expected = std::max(integer_at(x, i), 0);
      ASSERT_EQ(integer_at(outputs[0], i), expected);
      ASSERT_EQ(integer_at(outputs[1], i), std::min(expected, 100));
    }
  }
}

TEST(ElementwiseTest, TablesHaveOneEntryPerInteger) {
  for (DType from : kTypes) {
    for (DType to : kTypes) {
      const int64_t entries = from == DType::kI16 ? 65536 : 256;
      const int first = from == DType::kU8 ? 0 : from == DType::kI8 ? -128 : -32768;
      const HostTensor table = random_integers(to, {entries}, 4);
      const HostTensor x = random_integers(from, {1, 3, 10, 47}, 5);
      ProgramBuilder b;
      const ValueId in = b.input("x", from);
      const ValueId t = b.constant("table", table);
      const auto outputs = testing::run(b.output({b.step("Table", {in, t}, {}, to)}), {x}, 2);
      ASSERT_EQ(outputs.size(), 1u);
      for (int64_t i = 0; i < x.numel(); ++i) {
        ASSERT_EQ(integer_at(outputs[0], i), integer_at(table, integer_at(x, i) - first));
      }
    }
  }
}

TEST(ElementwiseTest, PreluAndBatchNormWorkPerChannel) {
  for (const Dims& dims : {Dims{2, 5}, Dims{2, 5, 9}, Dims{1, 5, 4, 7}, Dims{1, 5, 2, 3, 4},
                           Dims{2, 16, 3}, Dims{2, 37, 3, 3}}) {
    const int64_t channels = dims[1];
    const HostTensor x = random_integers(DType::kI8, dims, 6);
    const HostTensor table = random_integers(DType::kI8, {channels, 256}, 7);
    const HostTensor a = random_floats({channels}, 1.0F, 8);
    const HostTensor c = random_floats({channels}, 9.0F, 9);
    ProgramBuilder b;
    const ValueId in = b.input("x", DType::kI8);
    const ValueId p = b.step("Prelu", {in, b.constant("t", table)}, {}, DType::kI8);
    const ValueId n = b.step("BatchNorm", {in, b.constant("a", a), b.constant("b", c)},
                             {{"dtype", "u8"}, {"activation", "relu"}}, DType::kU8);
    const auto outputs = testing::run(b.output({p, n}), {x});
    ASSERT_EQ(outputs.size(), 2u);
    const int64_t plane = x.numel() / dims[0] / channels;
    for (int64_t i = 0; i < x.numel(); ++i) {
      const int64_t channel = i / plane % channels;
      const int q = integer_at(x, i);
      ASSERT_EQ(integer_at(outputs[0], i), integer_at(table, channel * 256 + q + 128));
      const float y =
          std::fma(static_cast<float>(q), a.data<float>()[channel], c.data<float>()[channel]);
      ASSERT_EQ(integer_at(outputs[1], i), saturate(y, DType::kU8));
    }
  }
}

// Of the value at `at`, by the formula: e^(x - m) / s or (x - m) - log(s).
float softmax_of(const HostTensor& x, int64_t at, int64_t count, int64_t stride, bool logarithm) {
  const int64_t start = at - at / stride % count * stride;
  const float* row = x.data<float>().data() + start;
  float most = -INFINITY;
  for (int64_t k = 0; k < count; ++k) most = std::max(most, row[k * stride]);
  std::array<double, 16> lanes{};
  for (int64_t k = 0; k < count; ++k) {
    lanes[static_cast<size_t>(stride == 1 ? k % 16 : 0)] += exp_f32(row[k * stride] - most);
  }
  const double sum = std::accumulate(lanes.begin(), lanes.end(), 0.0);
  const float d = x.data<float>()[at] - most;
  return logarithm ? d - static_cast<float>(std::log(sum))
                   : exp_f32(d) * static_cast<float>(1.0 / sum);
}

HostTensor softmax(const HostTensor& x, const std::string& kernel, int64_t dim) {
  ProgramBuilder b;
  const ValueId in = b.input("x", DType::kF32);
  const Program program = b.output({b.step(kernel, {in}, {{"dim", dim}}, DType::kF32)});
  return testing::run(program, {x}).at(0);
}

TEST(ElementwiseTest, SoftmaxFollowsItsFormulaAlongAnyAxis) {
  const std::vector<int64_t> dims{3, 37, 150};
  const HostTensor x = random_floats(dims, 8.0F, 2);
  const int64_t strides[] = {37 * 150, 150, 1};
  for (int64_t dim = -3; dim < 3; ++dim) {
    const auto axis = static_cast<size_t>((dim + 3) % 3);
    for (const bool logarithm : {false, true}) {
      const HostTensor y = softmax(x, logarithm ? "LogSoftmax" : "Softmax", dim);
      for (int64_t i = 0; i < x.numel(); ++i) {
        ASSERT_EQ(y.data<float>()[i], softmax_of(x, i, dims[axis], strides[axis], logarithm)) << i;
      }
    }
  }
}

TEST(ElementwiseTest, SoftmaxOfMaskedAndOddRows) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  HostTensor x(DType::kF32, {3, 4});
  const float values[] = {1, -kInfinity, 2, -kInfinity, 1e30F, -1e30F, 0, 0, 5, NAN, 5, 5};
  std::copy(std::begin(values), std::end(values), x.mutable_data<float>().begin());
  const HostTensor y = softmax(x, "Softmax", 1);
  EXPECT_EQ(y.data<float>()[1], 0.0F);
  EXPECT_NEAR(y.data<float>()[0] + y.data<float>()[2], 1.0F, 1e-6F);
  EXPECT_EQ(y.data<float>()[4], 1.0F);
  EXPECT_EQ(y.data<float>()[5], 0.0F);
  EXPECT_TRUE(std::isnan(y.data<float>()[8]));
}

}  // namespace
}  // namespace fxq
