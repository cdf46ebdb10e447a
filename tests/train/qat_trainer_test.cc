// The training loop: it learns, it is a function of its seed, it resumes, it stops when told.
#include "fxq/train/qat_trainer.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <limits>

#include "fxq/graph/leaf_module.h"
#include "fxq/quant/convert_fx.h"
#include "fxq/quant/prepare_fx.h"
#include "fxq/train/losses.h"
#include "tiny_task.h"

namespace fxq {
namespace {

using ::testing::HasSubstr;
using train_test::tiny_data;
using train_test::tiny_net;

TrainOptions options(std::vector<double>* losses = nullptr) {
  TrainOptions options;
  options.learning_rate = 0.05;
  options.batch = 16;
  options.epochs = 2;
  if (losses) {
    options.on_step = [losses](const TrainProgress& progress) {
      losses->push_back(progress.loss);
      return true;
    };
  }
  return options;
}

QatTrainer trainer(const TrainOptions& options) {
  auto model = prepare_qat_fx(tiny_net());
  EXPECT_TRUE(model.ok()) << model.status();
  auto made = QatTrainer::create(*std::move(model), options);
  EXPECT_TRUE(made.ok()) << made.status();
  return *std::move(made);
}

std::string message(const absl::StatusOr<TrainReport>& report) {
  return std::string(report.status().message());
}

// A prepared model that has learned the task.
ObservedGraphModule trained_model(BatchSource& data) {
  TrainOptions more = options();
  more.epochs = 4;
  QatTrainer run = trainer(more);
  EXPECT_TRUE(run.fit(data).ok());
  return std::move(run).take_model();
}

TEST(QatTrainerTest, LearnsAndConverts) {
  auto data = tiny_data(320, 1), unseen = tiny_data(160, 2);
  TrainOptions more = options();
  more.epochs = 4;
  more.freeze_after = 0.75;
  QatTrainer run = trainer(more);
  const auto report = run.fit(*data, unseen.get());
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->steps, 80);
  EXPECT_LT(report->epochs.back().loss, 0.5 * report->epochs.front().loss);
  EXPECT_GT(*report->best_top1, 0.9);
  EXPECT_TRUE(run.model().graph_module().is_training());
  const double again = *evaluate_top1(run.model(), *unseen);
  EXPECT_EQ(again, *report->best_top1) << "the model is the best one";
  const auto quantized = convert_fx(run.model());
  ASSERT_TRUE(quantized.ok()) << quantized.status();
  std::vector<int64_t> all(160);
  for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<int64_t>(i);
  auto batch = unseen->read(all);
  const auto hits = count_hits(quantized->forward(batch->inputs)->toTensor(), batch->labels);
  EXPECT_NEAR(static_cast<double>(hits) / 160, again, 0.02);
}

TEST(QatTrainerTest, TheSameSeedGivesTheSameRun) {
  auto data = tiny_data(64, 1);
  std::vector<double> first, second, other;
  ASSERT_TRUE(trainer(options(&first)).fit(*data).ok());
  ASSERT_TRUE(trainer(options(&second)).fit(*data).ok());
  TrainOptions seeded = options(&other);
  seeded.seed = 5;
  ASSERT_TRUE(trainer(seeded).fit(*data).ok());
  EXPECT_EQ(first, second);
  EXPECT_NE(first, other);
}

TEST(QatTrainerTest, InterruptedAndResumedItIsTheSameRun) {
  for (const char* optimizer : {"sgd", "adam", "adamw"}) {
    auto data = tiny_data(96, 1), unseen = tiny_data(32, 2);
    const std::string path = ::testing::TempDir() + "fxq_train_checkpoint";
    std::filesystem::remove(path);
    std::vector<double> whole, parts;
    TrainOptions uninterrupted = options(&whole);
    uninterrupted.optimizer = optimizer;
    uninterrupted.learning_rate = 0.01;
    uninterrupted.shift = 1;
    uninterrupted.horizontal_flip = true;
    ASSERT_TRUE(trainer(uninterrupted).fit(*data, unseen.get()).ok());
    TrainOptions stopping = uninterrupted;
    stopping.checkpoint = path;
    stopping.on_step = [&](const TrainProgress& progress) {
      parts.push_back(progress.loss);
      return parts.size() != 4 && parts.size() != 8;
    };
    bool done = false;
    for (int attempt = 0; attempt < 3; ++attempt) {
      QatTrainer run = trainer(stopping);
      const auto resumed = run.resume();
      ASSERT_TRUE(resumed.ok()) << resumed.status();
      EXPECT_EQ(*resumed, attempt > 0);
      const auto report = run.fit(*data, unseen.get());
      ASSERT_TRUE(report.ok()) << report.status();
      done = !report->interrupted;
    }
    EXPECT_TRUE(done);
    TrainOptions other = stopping;
    other.learning_rate = 0.02;
    const absl::Status refused = trainer(other).resume().status();
    EXPECT_THAT(std::string(refused.message()), HasSubstr("learning_rate=0.02"));
    auto other_data = tiny_data(96, 3);
    QatTrainer again = trainer(stopping);
    ASSERT_TRUE(*again.resume());
    EXPECT_THAT(message(again.fit(*other_data, unseen.get())), HasSubstr("other data or labels"));
    EXPECT_EQ(parts, whole) << optimizer;
    std::filesystem::remove(path);
    std::filesystem::remove(path + ".best");
  }
}

TEST(QatTrainerTest, DistillationFollowsTheTeacher) {
  auto data = tiny_data(160, 1);
  GraphModule teacher = tiny_net();
  teacher.eval();
  TrainOptions soft = options();
  soft.distillation = 1.0;
  soft.epochs = 4;
  QatTrainer run = trainer(soft);
  EXPECT_EQ(run.fit(*data).status().code(), absl::StatusCode::kFailedPrecondition);
  run.set_teacher(&teacher);
  const auto report = run.fit(*data);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_LT(report->epochs.back().loss, 0.5 * report->epochs.front().loss);
}

TEST(QatTrainerTest, StopsEarly) {
  auto data = tiny_data(32, 1), unseen = tiny_data(32, 2);
  TrainOptions still = options();
  still.learning_rate = 1e-12;  // nothing gets better
  still.epochs = 10;
  still.patience = 2;
  still.freeze_after = 0.0;
  const auto report = trainer(still).fit(*data, unseen.get());
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_TRUE(report->stopped_early);
  EXPECT_EQ(report->epochs.size(), 3) << "the start is no candidate: it was never calibrated";
}

TEST(QatTrainerTest, SaysWhatIsWrong) {
  TrainOptions bad = options();
  bad.optimizer = "sgdd";
  bad.epochs = 0;
  bad.shift = std::numeric_limits<int64_t>::max() / 2;  // 2 * shift + 1 places
  const auto refused = QatTrainer::create(*prepare_qat_fx(tiny_net()), bad);
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("optimizer is sgd"));
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("epochs"));
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("shift is in 0..65536"));
  const auto unknown = train_options_from_json(R"({"learning_rat": 1, "epochs": "two"})");
  EXPECT_THAT(std::string(unknown.status().message()), HasSubstr("learning_rate"));
  EXPECT_THAT(std::string(unknown.status().message()), HasSubstr("'epochs' wants an int"));
  auto data = tiny_data(32, 1);
  TrainOptions huge = options();
  huge.learning_rate = 1e30;
  huge.gradient_clip = 0;
  const auto diverged = trainer(huge).fit(*data);
  EXPECT_THAT(std::string(diverged.status().message()), HasSubstr("step 2"));
}

// LibTorch's exception left fit().
TEST(QatTrainerTest, ALossThatCannotBeTrainedIsAnError) {
  auto data = tiny_data(32, 1);
  TrainOptions other = options();
  other.loss = [](const at::Tensor& outputs, const at::Tensor&) { return outputs.detach().sum(); };
  const auto constant = trainer(other).fit(*data);
  EXPECT_EQ(constant.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(message(constant), HasSubstr("epoch 1, step 1: backward from the loss: "));
  EXPECT_THAT(message(constant), HasSubstr("does not require grad"));
  other.loss = [](const at::Tensor& outputs, const at::Tensor&) { return outputs; };
  EXPECT_THAT(message(trainer(other).fit(*data)), HasSubstr("epoch 1, step 1: the loss: "));
}

TEST(QatTrainerTest, LabelsWithoutAClassAreNamedBeforeTheFirstStep) {
  const at::Tensor x = at::randn({40, 3, 8, 8});
  at::Tensor y = at::zeros({40}, at::kLong);
  for (const int64_t i : {7, 9, 20, 21, 22, 23, 24, 25, 26, 27}) y[i] = 4;
  y[9] = -1;
  std::vector<double> losses;
  QatTrainer run = trainer(options(&losses));
  const auto report = run.fit(**tensor_source({x}, y));
  EXPECT_EQ(report.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(message(report), HasSubstr("10 of 40 labels are not in 0..3"));
  EXPECT_THAT(message(report), HasSubstr("sample 7 has 4, sample 9 has -1"));
  EXPECT_TRUE(losses.empty());
  auto data = tiny_data(40, 1);
  EXPECT_THAT(message(run.fit(*data, tensor_source({x}, y)->get())), HasSubstr("sample 7 has 4"))
      << "validation labels as well";
}

TEST(QatTrainerTest, ARunThatCollapsesIsAnError) {
  auto data = tiny_data(640, 1);
  TrainOptions wild = options();
  wild.learning_rate = 30;
  wild.schedule = "constant";
  wild.epochs = 1;
  const auto report = QatTrainer::create(trained_model(*data), wild)->fit(*data);
  EXPECT_EQ(report.status().code(), absl::StatusCode::kAborted) << report.status();
  EXPECT_THAT(message(report), HasSubstr("smaller learning_rate (it is 30)"));
}

// A first batch that happened to be right was compared with the share of all later ones.
TEST(QatTrainerTest, BatchesOfOneSampleAreNoCollapse) {
  auto data = tiny_data(40, 1);
  for (int64_t seed = 8; seed < 16; ++seed) {
    TrainOptions still = options();
    still.learning_rate = 1e-12;
    still.batch = 1;
    still.epochs = 1;
    still.seed = seed;
    const auto report = trainer(still).fit(*data);
    EXPECT_TRUE(report.ok()) << seed << " " << report.status();
  }
}

at::Tensor running_means(ObservedGraphModule& model) {
  std::vector<at::Tensor> means;
  for (const std::string& path : model.graph_module().module_paths()) {
    for (const auto& [name, tensor] : model.graph_module().module(path)->tensors()) {
      if (name.find("running_mean") != std::string::npos) means.push_back(tensor.clone());
    }
  }
  return at::cat(means);
}

// Channels whose weights a coarse scale rounds to zero have no variance: statistics that follow
// them make their folded weights grow until they own the scale.
TEST(QatTrainerTest, StatisticsOfACalibratedModelStay) {
  auto data = tiny_data(64, 1);
  for (const bool calibrated : {false, true}) {
    for (const std::optional<double> after :
         {std::optional<double>(), std::optional<double>(1.0)}) {
      TrainOptions with_bn = options();
      with_bn.epochs = 1;
      with_bn.freeze_bn_after = after;
      ObservedGraphModule model = calibrated ? trained_model(*data) : *prepare_qat_fx(tiny_net());
      const at::Tensor before = running_means(model);
      QatTrainer run = *QatTrainer::create(std::move(model), with_bn);
      ASSERT_TRUE(run.fit(*data).ok());
      EXPECT_EQ(at::equal(running_means(run.model()), before), calibrated && !after);
    }
  }
}

TEST(QatTrainerTest, TheModelIsNeverWorseThanItsStart) {
  auto data = tiny_data(160, 1), unseen = tiny_data(160, 2);
  ObservedGraphModule model = trained_model(*data);
  const double start = *evaluate_top1(model, *unseen);
  TrainOptions harmful = options();
  harmful.epochs = 1;
  harmful.loss = [](const at::Tensor& outputs, const at::Tensor&) {
    return outputs.pow(2).sum();  // forgets
  };
  QatTrainer run = *QatTrainer::create(std::move(model), harmful);
  const auto report = run.fit(*data, unseen.get());
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(*report->start_top1, start);
  EXPECT_LT(*report->epochs.back().validation_top1, start);
  EXPECT_EQ(*evaluate_top1(run.model(), *unseen), start);
}

TEST(QatTrainerTest, Schedules) {
  TrainOptions options;
  options.learning_rate = 2.0;
  EXPECT_DOUBLE_EQ(scheduled_rate(options, 0, 10), 2.0);
  EXPECT_NEAR(scheduled_rate(options, 5, 10), 1.0, 1e-12);
  options.schedule = "linear";
  EXPECT_DOUBLE_EQ(scheduled_rate(options, 9, 10), 0.2);
  options.schedule = "constant";
  EXPECT_DOUBLE_EQ(scheduled_rate(options, 9, 10), 2.0);
}

}  // namespace
}  // namespace fxq
