// Kernels that move elements: the result at a logical index against the input at another one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "program_run.h"

namespace fxq {
namespace {

using testing::Attrs;
using ::testing::HasSubstr;
using testing::integer_at;
using testing::integers;
using testing::kTypes;
using testing::ProgramBuilder;
using testing::random_integers;
using Dims = std::vector<int64_t>;

HostTensor apply(const std::string& kernel, const Attrs& attrs, const HostTensor& x,
                 int threads = 1) {
  ProgramBuilder b;
  const ValueId in = b.input("x", x.dtype());
  const auto outputs =
      testing::run(b.output({b.step(kernel, {in}, attrs, x.dtype())}), {x}, threads);
  return outputs.empty() ? HostTensor() : outputs[0];
}

Dims index_of(const Dims& dims, int64_t i) {
  Dims index(dims.size());
  for (size_t d = dims.size(); d-- > 0;) {
    index[d] = i % dims[d];
    i /= dims[d];
  }
  return index;
}

int64_t offset_of(const Dims& dims, const Dims& index) {
  int64_t offset = 0;
  for (size_t d = 0; d < dims.size(); ++d) offset = offset * dims[d] + index[d];
  return offset;
}

// y[index] = x[source(index)]
template <typename Source>
void expect_moved(const HostTensor& x, const HostTensor& y, const Source& source) {
  for (int64_t i = 0; i < y.numel(); ++i) {
    const Dims from = source(index_of(y.dims(), i));
    ASSERT_EQ(integer_at(y, i), integer_at(x, offset_of(x.dims(), from)))
        << x.describe() << " -> " << y.describe() << " at " << i;
  }
}

TEST(MovementTest, ReshapeKeepsLogicalOrder) {
  const std::pair<Dims, Dims> cases[] = {{{2, 3, 4, 5}, {2, 60}},
                                         {{2, 3, 4, 5}, {2, 3, 20}},
                                         {{2, 60}, {2, 3, 4, 5}},
                                         {{2, 6, 4, 5}, {2, 2, 3, 4, 5}},
                                         {{2, 3, 4, 5}, {5, 4, 3, 2}},
                                         {{1, 7, 1, 1}, {1, 7}},
                                         {{2, 3, 4}, {4, 3, 2}},
                                         {{6}, {2, 3}},
                                         {{1, 1, 1, 1}, {}},
                                         {{2, 1, 4, 5}, {2, 20}},
                                         {{3, 8, 2, 2}, {3, 2, 4, 2, 2}},
                                         {{2, 3, 2, 2, 2}, {2, 24}},
                                         {{2, 2, 2, 2, 2, 2}, {4, 4, 4}}};
  for (const auto& [from, to] : cases) {
    for (DType type : kTypes) {
      const HostTensor x = random_integers(type, from, 1);
      const HostTensor y = apply("Reshape", {{"shape", to}}, x, 2);
      ASSERT_EQ(y.dims(), to);
      ASSERT_EQ(integers(y), integers(x)) << x.describe() << " -> " << y.describe();
    }
  }
}

TEST(MovementTest, ReshapeForms) {
  const HostTensor x = random_integers(DType::kI8, {2, 1, 4, 5}, 1);
  EXPECT_EQ(apply("Reshape", {{"shape", Dims{2, -1}}}, x).dims(), (Dims{2, 20}));
  EXPECT_EQ(apply("Reshape", {{"op", "flatten"}, {"start_dim", int64_t{1}}}, x).dims(),
            (Dims{2, 20}));
  EXPECT_EQ(
      apply("Reshape", {{"op", "flatten"}, {"start_dim", int64_t{1}}, {"end_dim", int64_t{-2}}}, x)
          .dims(),
      (Dims{2, 4, 5}));
  EXPECT_EQ(apply("Reshape", {{"op", "squeeze"}}, x).dims(), (Dims{2, 4, 5}));
  EXPECT_EQ(apply("Reshape", {{"op", "squeeze"}, {"dims", Dims{0}}}, x).dims(), x.dims());
  const HostTensor y = apply("Reshape", {{"op", "unsqueeze"}, {"dim", int64_t{-1}}}, x);
  EXPECT_EQ(y.dims(), (Dims{2, 1, 4, 5, 1}));
  EXPECT_EQ(integers(y), integers(x));
  ProgramBuilder b;
  const ValueId in = b.input("x", DType::kI8);
  const Program bad = b.output({b.step("Reshape", {in}, {{"shape", Dims{3, -1}}}, DType::kI8)});
  EXPECT_THAT(testing::run_status(bad, {x}).message(), HasSubstr("cannot have shape [3,-1]"));
}

TEST(MovementTest, PermuteEveryOrder) {
  for (const Dims& dims : {Dims{2, 3}, Dims{2, 3, 4}, Dims{2, 3, 4, 5}}) {
    Dims order(dims.size());
    std::iota(order.begin(), order.end(), 0);
    do {
      for (DType type : kTypes) {
        const HostTensor x = random_integers(type, dims, 2);
        const HostTensor y = apply("Permute", {{"dims", order}}, x, 2);
        expect_moved(x, y, [&](const Dims& index) {
          Dims from(index.size());
          for (size_t d = 0; d < index.size(); ++d) from[order[d]] = index[d];
          return from;
        });
      }
    } while (std::next_permutation(order.begin(), order.end()));
  }
  const HostTensor x = random_integers(DType::kU8, {2, 3, 4, 5}, 2);
  EXPECT_EQ(apply("Permute", {{"swap", Dims{1, -1}}}, x).dims(), (Dims{2, 5, 4, 3}));
}

TEST(MovementTest, ChannelShuffleByReshapeAndPermute) {
  const HostTensor x = random_integers(DType::kI8, {2, 6, 4, 5}, 2);
  ProgramBuilder b;
  const ValueId in = b.input("x", DType::kI8);
  const ValueId r = b.step("Reshape", {in}, {{"shape", Dims{2, 2, 3, 4, 5}}}, DType::kI8);
  const ValueId p = b.step("Permute", {r}, {{"swap", Dims{1, 2}}}, DType::kI8);
  const ValueId y = b.step("Reshape", {p}, {{"shape", Dims{2, -1, 4, 5}}}, DType::kI8);
  const auto outputs = testing::run(b.output({y}), {x});
  ASSERT_EQ(outputs.size(), 1u);
  expect_moved(x, outputs[0], [](const Dims& index) {
    Dims from = index;
    from[1] = index[1] % 2 * 3 + index[1] / 2;
    return from;
  });
}

TEST(MovementTest, SliceSelectSplit) {
  for (DType type : kTypes) {
    for (int64_t dim = 0; dim < 4; ++dim) {
      const HostTensor x = random_integers(type, {3, 5, 4, 6}, 3);
      const HostTensor y = apply(
          "Slice",
          {{"dim", dim}, {"start", int64_t{1}}, {"end", int64_t{-1}}, {"step", int64_t{2}}}, x);
      expect_moved(x, y, [&](const Dims& index) {
        Dims from = index;
        from[dim] = 1 + 2 * index[dim];
        return from;
      });
      const HostTensor z =
          apply("Slice", {{"op", "select"}, {"dim", dim}, {"index", int64_t{-2}}}, x);
      expect_moved(x, z, [&](Dims index) {
        index.insert(index.begin() + dim, x.dims()[dim] - 2);
        return index;
      });
      ProgramBuilder b;
      const ValueId in = b.input("x", type);
      const std::vector<ValueId> parts =
          b.steps("Split", {in}, {{"dim", dim}, {"chunks", int64_t{2}}}, type, 2);
      const auto outputs = testing::run(b.output(parts), {x}, 2);
      ASSERT_EQ(outputs.size(), 2u);
      const int64_t half = outputs[0].dims()[dim];
      EXPECT_EQ(half, (x.dims()[dim] + 1) / 2);
      for (int64_t part : {0, 1}) {
        expect_moved(x, outputs[part], [&](Dims index) {
          index[dim] += part * half;
          return index;
        });
      }
    }
  }
}

TEST(MovementTest, SliceTakesRegistersAndMayBeEmpty) {
  const HostTensor x = random_integers(DType::kU8, {2, 4, 3, 3}, 3);
  ProgramBuilder b;
  const ValueId in = b.input("x", DType::kU8);
  const ValueId two = b.reg("Size", {in}, {{"dim", int64_t{0}}}, ValueKind::kInt);
  const ValueId y = b.step("Slice", {in, two}, {{"dim", int64_t{1}}}, DType::kU8);
  const ValueId e = b.step("Slice", {in, two, two}, {{"dim", int64_t{1}}}, DType::kU8);
  const ValueId r = b.step("Relu6", {e}, {{"hi", int64_t{4}}}, DType::kU8);
  const Attrs cat = {
      {"dim", int64_t{1}}, {"scales", std::vector<double>{1.0, 1.0}}, {"scale_out", 1.0}};
  const ValueId c = b.step("Cat", {r, y}, cat, DType::kU8);
  const auto outputs = testing::run(b.output({y, r, c}), {x});
  ASSERT_EQ(outputs.size(), 3u);
  EXPECT_EQ(outputs[0].dims(), (Dims{2, 2, 3, 3}));
  EXPECT_EQ(outputs[1].dims(), (Dims{2, 0, 3, 3}));
  EXPECT_EQ(integers(outputs[2]), integers(outputs[0]));
}

TEST(MovementTest, PadSurroundsAndCrops) {
  for (DType type : kTypes) {
    const HostTensor x = random_integers(type, {2, 3, 4, 5}, 4);
    for (const Dims& pad : {Dims{1, 2, 0, 3}, Dims{-1, 1, 2, -2}, Dims{0, 0, 0, 0, 2, 1}}) {
      const int64_t value = 7;
      const HostTensor y = apply("Pad", {{"pad", pad}, {"value", value}}, x, 2);
      for (int64_t i = 0; i < y.numel(); ++i) {
        Dims index = index_of(y.dims(), i);
        bool inside = true;
        for (size_t p = 0; p < pad.size(); p += 2) {
          const size_t d = 3 - p / 2;
          index[d] -= pad[p];
          inside = inside && index[d] >= 0 && index[d] < x.dims()[d];
        }
        ASSERT_EQ(integer_at(y, i), inside ? integer_at(x, offset_of(x.dims(), index)) : value);
      }
    }
  }
}

TEST(MovementTest, CatRescalesWhatDiffers) {
  const double scales[] = {0.05, 0.08, 0.05};
  for (DType to : kTypes) {
    for (int64_t dim = 0; dim < 4; ++dim) {
      std::vector<HostTensor> parts;
      ProgramBuilder b;
      std::vector<ValueId> ids;
      for (size_t i = 0; i < 3; ++i) {
        Dims dims = {2, 3, 4, 5};
        dims[dim] += static_cast<int64_t>(i);
        const DType type = kTypes[(i + static_cast<size_t>(dim)) % 3];
        parts.push_back(random_integers(type, dims, static_cast<unsigned>(i)));
        ids.push_back(b.input("x" + std::to_string(i), type));
      }
      const Attrs attrs = {{"dim", dim},
                           {"scales", std::vector<double>{0.05, 0.08, 0.05}},
                           {"scale_out", 0.05},
                           {"dtype", std::string(dtype_name(to))}};
      const auto outputs = testing::run(b.output({b.step("Cat", ids, attrs, to)}), parts, 2);
      ASSERT_EQ(outputs.size(), 1u);
      for (int64_t i = 0; i < outputs[0].numel(); ++i) {
        Dims index = index_of(outputs[0].dims(), i);
        size_t part = 0;
        while (index[dim] >= parts[part].dims()[dim]) index[dim] -= parts[part++].dims()[dim];
        const int q = integer_at(parts[part], offset_of(parts[part].dims(), index));
        const float p = static_cast<float>(q) * static_cast<float>(scales[part] / 0.05);
        const float low = to == DType::kU8 ? 0 : to == DType::kI8 ? -128 : -32768;
        const float high = to == DType::kU8 ? 255 : to == DType::kI8 ? 127 : 32767;
        ASSERT_EQ(integer_at(outputs[0], i), std::rint(std::min(std::max(p, low), high)));
      }
    }
  }
}

int integer(const HostTensor& tensor, int64_t i) {
  if (tensor.dtype() == DType::kI16) return tensor.data<int16_t>()[i];
  return tensor.dtype() == DType::kI8 ? tensor.data<int8_t>()[i] : tensor.data<uint8_t>()[i];
}

int bilinear(const HostTensor& x, const Dims& out, int64_t i, bool aligned) {
  int64_t first[2], second[2];
  float w0[2], w1[2];
  for (size_t axis : {0, 1}) {
    const int64_t extent = x.dims()[axis + 2], outputs = out[axis + 2];
    const auto at = static_cast<float>(axis == 1 ? i % out[3] : i / out[3] % out[2]);
    float source = (at + 0.5F) * (static_cast<float>(extent) / static_cast<float>(outputs)) - 0.5F;
    if (aligned) {
      source = outputs == 1
                   ? 0.0F
                   : at * (static_cast<float>(extent - 1) / static_cast<float>(outputs - 1));
    }
    source = std::max(source, 0.0F);
    first[axis] = std::min(static_cast<int64_t>(source), extent - 1);
    second[axis] = std::min(first[axis] + 1, extent - 1);
    w1[axis] = source - static_cast<float>(first[axis]);
    w0[axis] = 1.0F - w1[axis];
  }
  const int64_t plane = i / (out[2] * out[3]) * x.dims()[2];
  const auto value = [&](int64_t h, int64_t w) {
    return static_cast<float>(integer(x, (plane + h) * x.dims()[3] + w));
  };
  const float top = w0[1] * value(first[0], first[1]) + w1[1] * value(first[0], second[1]);
  const float bottom = w0[1] * value(second[0], first[1]) + w1[1] * value(second[0], second[1]);
  return static_cast<int>(std::rint(w0[0] * top + w1[0] * bottom));
}

TEST(MovementTest, ChannelShuffle) {
  for (DType type : {DType::kI8, DType::kI16}) {
    for (int64_t groups : {1, 2, 3, 6}) {
      const HostTensor x = random_integers(type, {2, 12, 5, 7}, 3);
      const HostTensor y = apply("ChannelShuffle", {{"groups", groups}}, x, 2);
      ASSERT_EQ(y.dims(), x.dims());
      expect_moved(x, y, [&](Dims index) {
        index[1] = index[1] % groups * (12 / groups) + index[1] / groups;
        return index;
      });
    }
  }
}

TEST(MovementTest, UpsampleNearest) {
  const HostTensor x = random_integers(DType::kI8, {2, 3, 4, 5}, 4);
  for (const Dims& size : {Dims{8, 10}, Dims{4, 5}, Dims{9, 3}, Dims{1, 17}}) {
    const HostTensor y = apply("UpsampleNearest", {{"output_size", size}}, x, 2);
    ASSERT_EQ(y.dims(), (Dims{2, 3, size[0], size[1]}));
    expect_moved(x, y, [&](Dims index) {
      for (size_t d : {2, 3}) {
        const float s = static_cast<float>(x.dims()[d]) / static_cast<float>(size[d - 2]);
        index[d] = std::min<int64_t>(static_cast<int64_t>(static_cast<float>(index[d]) * s),
                                     x.dims()[d] - 1);
      }
      return index;
    });
  }
  const HostTensor y =
      apply("UpsampleNearest", {{"scale_factors", std::vector<double>{2.0, 1.5}}}, x);
  EXPECT_EQ(y.dims(), (Dims{2, 3, 8, 7}));
}

// The formula in plain loops; sizes beside, above and below the input's.
TEST(MovementTest, UpsampleBilinear) {
  for (DType type : {DType::kI8, DType::kU8, DType::kI16}) {
    const HostTensor x = random_integers(type, {2, 3, 4, 5}, 4);
    for (const Dims& size : {Dims{8, 10}, Dims{4, 5}, Dims{9, 3}, Dims{1, 17}}) {
      for (bool aligned : {false, true}) {
        const HostTensor y =
            apply("UpsampleBilinear", {{"output_size", size}, {"align_corners", aligned}}, x, 2);
        ASSERT_EQ(y.dims(), (Dims{2, 3, size[0], size[1]}));
        for (int64_t i = 0; i < y.numel(); ++i) {
          ASSERT_EQ(integer(y, i), bilinear(x, y.dims(), i, aligned)) << i;
        }
      }
    }
  }
}

}  // namespace
}  // namespace fxq
