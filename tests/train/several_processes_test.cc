// Runs of two processes, each a thread here: what ends one of them ends both, and none waits.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <functional>
#include <limits>
#include <mutex>
#include <thread>

#include "fxq/quant/prepare_fx.h"
#include "fxq/quant/process_group.h"
#include "fxq/train/qat_trainer.h"
#include "tiny_task.h"

namespace fxq {
namespace {

using ::testing::HasSubstr;
using train_test::tiny_data;
using train_test::tiny_net;

thread_local int own_rank = 0;

// Unavailable where a real group would wait for ever.
class ThreadGroup : public ProcessGroup {
 public:
  int rank() const override { return own_rank; }
  int size() const override { return 2; }

  absl::Status all_reduce(at::Tensor& tensor, Reduction reduction) override {
    return meet(tensor, [&](const at::Tensor& a, const at::Tensor& b) {
      if (reduction == Reduction::kSum) return a + b;
      return reduction == Reduction::kMin ? a.minimum(b) : a.maximum(b);
    });
  }
  absl::Status broadcast(at::Tensor& tensor) override {
    return meet(tensor, [](const at::Tensor& first, const at::Tensor&) { return first.clone(); });
  }

 private:
  template <typename Join>
  absl::Status meet(at::Tensor& tensor, const Join& join) {
    std::unique_lock<std::mutex> lock(mutex_);
    given_[static_cast<size_t>(own_rank)] = tensor.clone();
    const int64_t meeting = meetings_;
    if (++arrived_ == 2) {
      joined_ = join(given_[0], given_[1]);
      arrived_ = 0;
      ++meetings_;
      met_.notify_all();
    } else if (!met_.wait_for(lock, std::chrono::seconds(10),
                              [&] { return meetings_ != meeting; })) {
      return absl::UnavailableError("the other process never came");
    }
    tensor.copy_(joined_);
    return absl::OkStatus();
  }

  std::mutex mutex_;
  std::condition_variable met_;
  std::array<at::Tensor, 2> given_;
  at::Tensor joined_;
  int arrived_ = 0;
  int64_t meetings_ = 0;
};

// Its labels are wrong from some read on.
class TurningSource : public BatchSource {
 public:
  TurningSource(std::unique_ptr<BatchSource> data, int right)
      : data_(std::move(data)), right_(right) {}
  int64_t size() const override { return data_->size(); }
  absl::StatusOr<TrainBatch> read(absl::Span<const int64_t> samples) override {
    auto batch = data_->read(samples);
    if (batch.ok() && right_-- <= 0) batch->labels = (batch->labels + 1) % 4;
    return batch;
  }

 private:
  std::unique_ptr<BatchSource> data_;
  int right_;
};

constexpr int kAlways = 1 << 20;

class SeveralProcessesTest : public ::testing::Test {
 protected:
  TrainOptions options_[2];
  int right_[2] = {kAlways, kAlways};  // reads
  std::unique_ptr<BatchSource> validation_[2];

  // A trained model goes on in two processes.
  std::array<absl::StatusOr<TrainReport>, 2> run() {
    std::array<absl::StatusOr<TrainReport>, 2> reports;
    std::vector<QatTrainer> trainers;
    for (const TrainOptions& options : options_) {
      trainers.push_back(*QatTrainer::create(trained(), options));
    }
    set_process_group(std::make_shared<ThreadGroup>());
    std::vector<std::thread> threads;
    for (int rank = 0; rank < 2; ++rank) {
      threads.emplace_back([&, rank] {
        own_rank = rank;
        const auto at = static_cast<size_t>(rank);
        TurningSource data(tiny_data(320, 1), right_[rank]);
        reports[at] = trainers[at].fit(data, validation_[rank].get());
      });
    }
    for (std::thread& thread : threads) thread.join();
    set_process_group(nullptr);
    return reports;
  }

  void both(const std::function<void(TrainOptions&)>& set) {
    for (TrainOptions& options : options_) {
      options.batch = 16;
      options.learning_rate = 1e-9;
      set(options);
    }
  }

 private:
  static ObservedGraphModule trained() {
    TrainOptions options;
    options.learning_rate = 0.05;
    options.batch = 16;
    options.epochs = 4;
    auto data = tiny_data(320, 1);
    auto trainer = *QatTrainer::create(*prepare_qat_fx(tiny_net()), options);
    EXPECT_TRUE(trainer.fit(*data).ok());
    return std::move(trainer).take_model();
  }
};

// The one whose own top-1 collapsed ended; the other one waited for its gradients.
TEST_F(SeveralProcessesTest, DecideTogetherWhetherTop1HasCollapsed) {
  both([](TrainOptions& options) { options.epochs = 2; });
  right_[1] = 2;  // the look at the model's classes, and a step
  auto reports = run();
  for (const auto& report : reports) ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(reports[0]->epochs[1].top1, reports[1]->epochs[1].top1) << "of both together";
  right_[0] = 2;
  reports = run();
  for (const auto& report : reports) {
    EXPECT_EQ(report.status().code(), absl::StatusCode::kAborted) << report.status();
  }
}

TEST_F(SeveralProcessesTest, EndTogetherAtALossThatIsNotFinite) {
  both([](TrainOptions& options) { options.epochs = 1; });
  int steps = 0;
  options_[1].loss = [&](const at::Tensor& outputs, const at::Tensor&) {
    return outputs.sum() * (++steps == 3 ? std::numeric_limits<double>::quiet_NaN() : 0.0);
  };
  for (const auto& report : run()) {
    EXPECT_EQ(report.status().code(), absl::StatusCode::kAborted) << report.status();
    EXPECT_THAT(std::string(report.status().message()), HasSubstr("step 3: the loss is nan"));
  }
}

TEST_F(SeveralProcessesTest, EndTogetherWhereOneHasAnError) {
  both([](TrainOptions& options) { options.epochs = 1; });
  options_[1].loss = [](const at::Tensor& outputs, const at::Tensor&) {
    return outputs.detach().sum();
  };
  const auto reports = run();
  EXPECT_THAT(std::string(reports[0].status().message()),
              HasSubstr("1 of 2 processes cannot go on"));
  EXPECT_THAT(std::string(reports[1].status().message()), HasSubstr("backward from the loss"));
}

TEST_F(SeveralProcessesTest, OnlyTheFirstOneWritesFiles) {
  const std::string folder = ::testing::TempDir() + "fxq_ranks";
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  const std::string path = folder + "/rank";
  both([](TrainOptions& options) { options.epochs = 1; });
  for (int rank = 0; rank < 2; ++rank) {
    options_[rank].checkpoint = path + std::to_string(rank);
    validation_[rank] = tiny_data(32, static_cast<uint64_t>(2 + rank));
  }
  const auto reports = run();
  for (const auto& report : reports) ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(*reports[0]->best_top1, *reports[1]->best_top1);
  EXPECT_TRUE(std::filesystem::exists(path + "0"));
  EXPECT_TRUE(std::filesystem::exists(path + "0.best"));
  EXPECT_FALSE(std::filesystem::exists(path + "1"));
  EXPECT_FALSE(std::filesystem::exists(path + "1.best"));
  std::filesystem::remove_all(folder);
}

// A process without samples aborted the program; of 320 samples, batches of 29 leave one.
TEST_F(SeveralProcessesTest, EachNeedsASampleOfEveryBatch) {
  for (const int64_t batch : {1, 29}) {
    both([&](TrainOptions& options) { options.batch = batch; });
    for (const auto& report : run()) {
      EXPECT_EQ(report.status().code(), absl::StatusCode::kInvalidArgument);
      EXPECT_THAT(std::string(report.status().message()),
                  HasSubstr("2 processes share a batch of 1 samples"));
    }
  }
}

}  // namespace
}  // namespace fxq
