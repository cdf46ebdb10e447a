// Runs int8 programs for a long time from several callers at once, in changing shapes:
//   soak SECONDS MODEL.fxq...
// Each result must be the bytes that the same model gave for the same inputs the first time, and
// the mean of the resident memory must not grow from the second quarter of the time to the last.
// Now and then a program is loaded anew. Prints runs and memory; exit code 1 if a result or the
// memory moved.
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <fstream>
#include <map>
#include <mutex>
#include <random>
#include <thread>

#include "fmt/format.h"
#include "fxq/base/check.h"
#include "fxq/base/status.h"
#include "fxq/runtime/executor.h"

namespace fxq {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kCallers = 3;
constexpr int kThreadsPerExecutor = 2;
constexpr double kAllowedGrowth = 1.15;  // short runs still warm up: 187 to 205 MiB was seen

int64_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  int64_t pages = 0, resident = 0;
  FXQ_CHECK(file >> pages >> resident, "no /proc/self/statm");
  return resident * sysconf(_SC_PAGESIZE);
}

double mean(const std::vector<double>& values, size_t begin, size_t end) {
  double sum = 0;
  for (size_t i = begin; i < end; ++i) sum += values[i];
  return end > begin ? sum / static_cast<double>(end - begin) : 0;
}

struct Model {
  std::string path;
  std::vector<std::vector<int64_t>> shapes;  // of the inputs, as calibrated; batch 1
  std::mutex mutex;                          // of the executor's pointer: reloads replace it
  std::shared_ptr<Executor> executor;
};

absl::StatusOr<std::shared_ptr<Executor>> load(const std::string& path) {
  ExecutorOptions options;
  options.threads = kThreadsPerExecutor;
  options.max_signatures = 4;  // fewer than there are shapes: signatures come and go
  FXQ_ASSIGN_OR_RETURN(auto executor, load_program(path, options));
  return std::shared_ptr<Executor>(std::move(executor));
}

// Batch 1 to 3 and, for pictures, other heights and widths.
std::vector<HostTensor> inputs_of(const Program& program, int variant) {
  std::vector<HostTensor> inputs;
  std::mt19937 random(static_cast<unsigned>(variant));
  for (const ValueId id : program.inputs) {
    const Value& value = program.values[static_cast<size_t>(id)];
    std::vector<int64_t> dims(static_cast<size_t>(value.rank.value_or(4)), 8);
    if (dims.size() == 4) dims = {1 + variant % 3, 3, 32 + 16 * (variant / 3 % 3), 48};
    HostTensor tensor(value.dtype, dims);
    if (value.dtype == DType::kF32) {
      std::normal_distribution<float> normal;
      for (float& item : tensor.mutable_data<float>()) item = normal(random);
    }
    inputs.push_back(std::move(tensor));
  }
  return inputs;
}

class Soak {
 public:
  static constexpr int kVariants = 9;

  absl::Status add(const std::string& path) {
    models_.push_back(std::make_unique<Model>());
    models_.back()->path = path;
    FXQ_ASSIGN_OR_RETURN(models_.back()->executor, load(path));
    for (int variant = 0; variant < kVariants; ++variant) {
      auto result =
          models_.back()->executor->run(inputs_of(models_.back()->executor->program(), variant));
      if (result.ok()) expected_[{models_.size() - 1, variant}] = *std::move(result);
    }
    if (expected_.lower_bound({models_.size() - 1, 0}) == expected_.end()) {
      return absl::InvalidArgumentError(path + ": takes no picture of 3 x 32..64 x 48");
    }
    return absl::OkStatus();
  }

  absl::Status run(double seconds) {
    const auto start = Clock::now();
    std::vector<std::thread> callers;
    for (int i = 0; i < kCallers; ++i) {
      callers.emplace_back([this, i, start, seconds] { call(i, start, seconds); });
    }
    std::vector<double> mib;  // one sample each 100 ms
    while (std::chrono::duration<double>(Clock::now() - start).count() < seconds) {
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
      mib.push_back(static_cast<double>(resident_bytes()) / 1048576);
    }
    for (std::thread& caller : callers) caller.join();
    const size_t quarter = mib.size() / 4;
    const double second = mean(mib, quarter, 2 * quarter);
    const double last = mean(mib, 3 * quarter, 4 * quarter);
    fmt::print(
        "{} runs, {} loads in {:.0f} s; resident {:.1f} MiB in the second quarter, {:.1f} MiB in "
        "the last\n",
        runs_.load(), loads_.load(), seconds, second, last);
    if (!problem_.empty()) return absl::InternalError(problem_);
    if (last > second * kAllowedGrowth) return absl::InternalError("the memory grows");
    return absl::OkStatus();
  }

 private:
  void call(int caller, Clock::time_point start, double seconds) {
    std::mt19937 random(static_cast<unsigned>(caller));
    std::vector<std::pair<size_t, int>> keys;
    for (const auto& [key, result] : expected_) keys.push_back(key);
    while (std::chrono::duration<double>(Clock::now() - start).count() < seconds && !failed_) {
      const auto& key = keys[random() % keys.size()];
      Model& model = *models_[key.first];
      if (random() % 200 == 0) reload(model);
      const std::shared_ptr<Executor> executor = current(model);
      const auto result = executor->run(inputs_of(executor->program(), key.second));
      ++runs_;
      if (!result.ok()) return fail(result.status().ToString());
      if (!same(*result, expected_.at(key))) {
        return fail(
            fmt::format("{}, inputs {}: other bytes than the first time", model.path, key.second));
      }
    }
  }

  static std::shared_ptr<Executor> current(Model& model) {
    const std::lock_guard<std::mutex> lock(model.mutex);
    return model.executor;
  }

  void reload(Model& model) {
    auto fresh = load(model.path);
    if (!fresh.ok()) return fail(fresh.status().ToString());
    const std::lock_guard<std::mutex> lock(model.mutex);
    model.executor = *std::move(fresh);
    ++loads_;
  }

  static bool same(const std::vector<HostTensor>& a, const std::vector<HostTensor>& b) {
    if (a.size() != b.size()) return false;
    for (size_t i = 0; i < a.size(); ++i) {
      if (a[i].dims() != b[i].dims()) return false;
      if (!std::equal(a[i].bytes(), a[i].bytes() + a[i].byte_size(), b[i].bytes())) return false;
    }
    return true;
  }

  void fail(const std::string& what) {
    const std::lock_guard<std::mutex> lock(problem_mutex_);
    if (problem_.empty()) problem_ = what;
    failed_ = true;
  }

  std::vector<std::unique_ptr<Model>> models_;
  std::map<std::pair<size_t, int>, std::vector<HostTensor>> expected_;
  std::atomic<int64_t> runs_{0}, loads_{0};
  std::atomic<bool> failed_{false};
  std::mutex problem_mutex_;
  std::string problem_;
};

absl::Status soak(double seconds, int count, char** paths) {
  Soak soak;
  for (int i = 0; i < count; ++i) FXQ_RETURN_IF_ERROR(soak.add(paths[i]));
  return soak.run(seconds);
}

}  // namespace
}  // namespace fxq

int main(int argc, char** argv) {
  const double seconds = argc > 1 ? std::atof(argv[1]) : 0;
  if (seconds <= 0 || argc < 3) {
    fmt::print(stderr, "usage: soak SECONDS MODEL.fxq...\n");
    return 2;
  }
  const absl::Status status = fxq::soak(seconds, argc - 2, argv + 2);
  if (status.ok()) return 0;
  fmt::print(stderr, "soak: {}\n", std::string(status.message()));
  return 1;
}
