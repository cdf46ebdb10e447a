// Samples in any order, from memory and from files, and what augmentation makes of them.
#include "fxq/train/batch_source.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/tensor.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "fxq/data/npy.h"
#include "fxq/graph/tensor_convert.h"
#include "fxq/train/augment.h"

namespace fxq {
namespace {

at::Tensor pictures(int64_t count) {
  return at::arange(count * 2 * 3 * 4, at::kFloat).view({count, 2, 3, 4});
}

std::unique_ptr<BatchSource> file_source(const at::Tensor& x, const std::vector<int64_t>& labels) {
  const std::string path = ::testing::TempDir() + "fxq_batch_source.npy";
  EXPECT_TRUE(write_npy(path, *to_host_tensor(x)).ok());
  auto dataset = Dataset::open({path}, {});
  EXPECT_TRUE(dataset.ok()) << dataset.status();
  auto source = dataset_source(*std::move(dataset), labels);
  EXPECT_TRUE(source.ok()) << source.status();
  return *std::move(source);
}

TEST(BatchSourceTest, FilesGiveWhatTensorsGive) {
  const at::Tensor x = pictures(5);
  const std::vector<int64_t> labels{3, 1, 4, 1, 5};
  auto files = file_source(x, labels);
  auto tensors = *tensor_source({x}, at::tensor(labels, at::kLong));
  EXPECT_EQ(files->size(), 5);
  const std::vector<int64_t> samples{4, 0, 0, 2};
  const auto a = files->read(samples), b = tensors->read(samples);
  ASSERT_TRUE(a.ok()) << a.status();
  EXPECT_TRUE(at::equal(a->inputs[0].toTensor(), b->inputs[0].toTensor()));
  EXPECT_TRUE(at::equal(a->labels, b->labels));
  EXPECT_EQ(*files->fingerprint(), *tensors->fingerprint());
  EXPECT_NE(*files->fingerprint(), *file_source(x + 1, labels)->fingerprint());
  EXPECT_NE(*files->fingerprint(), *file_source(x, {3, 1, 4, 1, 6})->fingerprint());
  const auto refused =
      dataset_source(*Dataset::open({::testing::TempDir() + "fxq_batch_source.npy"}, {}), {1});
  EXPECT_THAT(std::string(refused.status().message()),
              ::testing::HasSubstr("5 samples and 1 labels"));
}

TEST(AugmentTest, MovesAndMirrors) {
  TrainOptions options;
  options.shift = 1;
  options.horizontal_flip = true;
  const at::Tensor x = pictures(40);
  std::vector<int64_t> samples(40);
  for (size_t i = 0; i < samples.size(); ++i) samples[i] = static_cast<int64_t>(i);
  std::vector<c10::IValue> inputs{x};
  ASSERT_TRUE(augment(options, 3, samples, inputs).ok());
  std::set<std::tuple<int64_t, int64_t, bool>> seen;
  for (const int64_t i : samples) {
    const Augmentation by = augmentation_of(options, 3, i);
    seen.emplace(by.down, by.right, by.mirrored);
    const at::Tensor y = inputs[0].toTensor()[i];
    for (int64_t row = 0; row < 3; ++row) {
      for (int64_t column = 0; column < 4; ++column) {
        const int64_t from_row = std::clamp<int64_t>(row - by.down, 0, 2);
        const int64_t from = (by.mirrored ? 3 - column : column) - by.right;
        EXPECT_TRUE(at::equal(y.select(1, row).select(1, column),
                              x[i].select(1, from_row).select(1, std::clamp<int64_t>(from, 0, 3))));
      }
    }
  }
  EXPECT_GE(seen.size(), 14) << "of 18";
}

TEST(AugmentTest, IsAFunctionOfSeedEpochAndSample) {
  TrainOptions options;
  options.shift = 2;
  const at::Tensor x = pictures(6);
  std::vector<c10::IValue> whole{x}, first{x.slice(0, 0, 2)}, rest{x.slice(0, 2, 6)}, next{x};
  const std::vector<int64_t> samples{9, 4, 7, 2, 11, 30};
  const auto all = absl::MakeConstSpan(samples);
  ASSERT_TRUE(augment(options, 0, all, whole).ok());
  ASSERT_TRUE(augment(options, 0, all.subspan(0, 2), first).ok());
  ASSERT_TRUE(augment(options, 0, all.subspan(2), rest).ok());
  ASSERT_TRUE(augment(options, 1, all, next).ok());
  EXPECT_TRUE(at::equal(whole[0].toTensor(), at::cat({first[0].toTensor(), rest[0].toTensor()})));
  EXPECT_FALSE(at::equal(whole[0].toTensor(), next[0].toTensor()));
  std::vector<c10::IValue> flat{at::arange(6)};
  EXPECT_FALSE(augment(options, 0, all, flat).ok());
}

}  // namespace
}  // namespace fxq
