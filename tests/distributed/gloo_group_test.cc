// Two local processes: this program starts itself again with a rank in the environment.
#include "fxq/distributed/gloo_group.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <map>

#include "fxq/graph/artifact.h"
#include "fxq/quant/fake_quantize.h"
#include "fxq/quant/prepare_fx.h"
#include "fxq/train/qat_trainer.h"
#include "tiny_task.h"

namespace fxq {
namespace {

using ::testing::HasSubstr;
using train_test::tiny_data;
using train_test::tiny_net;

std::string folder() {
  const char* given = std::getenv("FXQ_GLOO_FOLDER");
  return given ? given : ::testing::TempDir() + "fxq_gloo_" + std::to_string(::getpid());
}

// This process's rank in a test that has started itself; -1: it is the test.
int own_rank() {
  const char* rank = std::getenv("FXQ_GLOO_RANK");
  return rank ? std::atoi(rank) : -1;
}

// Runs one test of this program in two processes; both must pass.
void run_two(const std::string& test) {
  const std::string shared = folder();  // the test's, not the child's
  std::filesystem::create_directories(shared);
  std::vector<pid_t> children;
  for (int rank = 0; rank < 2; ++rank) {
    const pid_t child = ::fork();
    if (child == 0) {
      ::setenv("FXQ_GLOO_RANK", std::to_string(rank).c_str(), 1);
      ::setenv("FXQ_GLOO_FOLDER", shared.c_str(), 1);
      ::setenv("OMP_NUM_THREADS", "1", 1);
      const std::string filter = "--gtest_filter=" + test;
      ::execl("/proc/self/exe", "distributed_test", filter.c_str(), "--gtest_brief=1", nullptr);
      ::_exit(127);
    }
    children.push_back(child);
  }
  for (const pid_t child : children) {
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << test;
  }
}

std::shared_ptr<ProcessGroup> group() {
  GlooOptions options;
  options.rank = own_rank();
  options.size = 2;
  options.file = folder() + "/store";
  options.timeout_seconds = 60;
  auto made = make_gloo_group(options);
  EXPECT_TRUE(made.ok()) << made.status();
  return *std::move(made);
}

class GlooTest : public ::testing::Test {
 protected:
  void TearDown() override {
    set_process_group(nullptr);
    if (own_rank() < 0) std::filesystem::remove_all(folder());
  }
};

TEST_F(GlooTest, Reduces) {
  if (own_rank() < 0) return run_two("GlooTest.Reduces");
  const auto processes = group();
  const float mine = own_rank() == 0 ? -3.0F : 5.0F;
  const std::pair<ProcessGroup::Reduction, float> wanted[] = {
      {ProcessGroup::Reduction::kSum, 2.0F},
      {ProcessGroup::Reduction::kMin, -3.0F},
      {ProcessGroup::Reduction::kMax, 5.0F}};
  for (const auto& [reduction, value] : wanted) {
    at::Tensor tensor = at::full({3}, mine);
    ASSERT_TRUE(processes->all_reduce(tensor, reduction).ok());
    EXPECT_TRUE(at::equal(tensor, at::full({3}, value)));
  }
  at::Tensor strided = at::full({2, 3}, mine).t();
  ASSERT_TRUE(processes->broadcast(strided).ok());
  EXPECT_TRUE(at::equal(strided, at::full({3, 2}, -3.0F)));
}

QConfigDict synchronised() {
  QatQConfigOptions options;
  options.activation_qkwargs = {{"is_sync_quantize", true}};
  QConfigDict dict;
  dict.global = *get_default_qat_qconfig(options);
  return dict;
}

// Folded batch norms: their statistics are those of the process alone.
ObservedGraphModule trained(int64_t batch) {
  PrepareOptions prepare;
  prepare.qat_mode = QatMode::FuseBN;
  auto model = prepare_qat_fx(tiny_net(), synchronised(), prepare);
  EXPECT_TRUE(model.ok()) << model.status();
  TrainOptions options;
  options.learning_rate = 0.05;
  options.batch = batch;
  options.epochs = 3;
  auto trainer = QatTrainer::create(*std::move(model), options);
  auto data = tiny_data(64, 1);
  const auto report = trainer->fit(*data);
  EXPECT_TRUE(report.ok()) << report.status();
  return std::move(*trainer).take_model();
}

std::map<std::string, at::Tensor> scales(const ObservedGraphModule& model) {
  std::map<std::string, at::Tensor> result;
  for (const auto& [path, fake_quant] : model.fake_quants()) result[path] = fake_quant->scale();
  return result;
}

void expect_as_one(const std::string& test, int64_t batch) {
  const std::string file = folder() + "/trained.fxq";
  if (own_rank() >= 0) {
    set_process_group(group());
    const auto model = trained(batch);
    if (own_rank() == 0) {
      EXPECT_TRUE(save(model, file).ok());
    }
    return;
  }
  run_two(test);
  auto both = load_observed(file);
  ASSERT_TRUE(both.ok()) << both.status();
  const auto alone = trained(batch);
  const auto expected = scales(alone), actual = scales(*both);
  ASSERT_EQ(actual.size(), expected.size());
  for (const auto& [path, scale] : expected) {
    EXPECT_TRUE(actual.at(path).allclose(scale, 1e-4, 0)) << path << actual.at(path) << scale;
  }
  const auto parameters = alone.graph_module().parameters();
  const auto others = both->graph_module().parameters();
  for (size_t i = 0; i < parameters.size(); ++i) {
    EXPECT_TRUE(others[i].allclose(parameters[i], 1e-3, 1e-4)) << i;
  }
}

TEST_F(GlooTest, TwoProcessesTrainAsOne) { expect_as_one("GlooTest.TwoProcessesTrainAsOne", 16); }

// Of 15 samples one process has 7: its gradients counted as much as those of 8.
TEST_F(GlooTest, UnevenPartsTrainAsOne) { expect_as_one("GlooTest.UnevenPartsTrainAsOne", 15); }

TEST_F(GlooTest, OptionsAreChecked) {
  GlooOptions options;
  options.rank = 2;
  options.size = 2;
  EXPECT_THAT(std::string(make_gloo_group(options).status().message()), HasSubstr("rank 2 of 2"));
  options.rank = 0;
  EXPECT_THAT(std::string(make_gloo_group(options).status().message()), HasSubstr("a file, or"));
  options.file = folder() + "_lonely";
  options.timeout_seconds = 1;
  EXPECT_EQ(make_gloo_group(options).status().code(), absl::StatusCode::kUnavailable);
  std::filesystem::remove(options.file);
}

TEST_F(GlooTest, OnlyObserversOfRangesSynchronise) {
  QatQConfigOptions options;
  options.activation_qkwargs = {{"observer", "mse"}, {"is_sync_quantize", true}};
  EXPECT_THAT(std::string(get_default_qat_qconfig(options).status().message()),
              HasSubstr("MseObserver has no is_sync_quantize"));
}

}  // namespace
}  // namespace fxq
