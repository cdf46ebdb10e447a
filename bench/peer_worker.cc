// fxq's side of bench/peers: peer_worker M.fxq INPUT.npy THREADS speaks the protocol of
// bench/peers/protocol.py on stdin and stdout. One line in, one line of JSON out:
//   run N     -> [ms, ...]      save PATH -> "ok" (the outputs, PATH.0.npy, ...)
//   steps N   -> [{"name": ..., "kernel": ..., "implementation": ..., "min_ms": ...}, ...]
//   memory    -> MiB, the process's peak      quit

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "fmt/format.h"
#include "fxq/base/status.h"
#include "fxq/data/npy.h"
#include "fxq/runtime/executor.h"
#include "fxq/runtime/isa.h"

namespace fxq {
namespace {

double now_ms() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration<double, std::milli>(now).count();
}

double peak_rss_mib() {
  std::ifstream status(
      "/proc/self/status");  // getrusage would count what the parent had before exec
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("VmHWM:", 0) == 0) return std::strtod(line.c_str() + 6, nullptr) / 1024.0;
  }
  return 0;
}

void answer(const nlohmann::json& json) { std::cout << json.dump() << std::endl; }

class Worker {
 public:
  Worker(std::string path, HostTensor input, int threads)
      : path_(std::move(path)), input_(std::move(input)), threads_(threads) {}

  absl::Status start() {
    const double begin = now_ms();
    FXQ_ASSIGN_OR_RETURN(executor_, load(false));
    const std::vector<std::vector<int64_t>> shapes{input_.dims()};
    FXQ_RETURN_IF_ERROR(executor_->prepare(shapes));
    answer({{"load_ms", now_ms() - begin}, {"isa", std::string(isa_name(effective_isa()))}});
    return absl::OkStatus();
  }

  // False: quit.
  absl::StatusOr<bool> obey(const std::string& line) {
    std::istringstream words(line);
    std::string command, argument;
    words >> command >> argument;
    if (command == "quit") return false;
    if (command == "run") {
      FXQ_RETURN_IF_ERROR(run(std::atoi(argument.c_str())));
    } else if (command == "steps") {
      FXQ_RETURN_IF_ERROR(steps(std::atoi(argument.c_str())));
    } else if (command == "save") {
      FXQ_RETURN_IF_ERROR(save(argument));
    } else if (command == "memory") {
      answer(peak_rss_mib());
    } else {
      return absl::InvalidArgumentError("no command '" + command + "'");
    }
    return true;
  }

 private:
  absl::StatusOr<std::unique_ptr<Executor>> load(bool profile) const {
    ExecutorOptions options;
    options.threads = threads_;
    options.profile = profile;
    return load_program(path_, options);
  }

  absl::Status run(int count) {
    nlohmann::json times = nlohmann::json::array();
    for (int i = 0; i < count; ++i) {
      const double begin = now_ms();
      FXQ_RETURN_IF_ERROR(executor_->run({&input_, 1}).status());
      times.push_back(now_ms() - begin);
    }
    answer(times);
    return absl::OkStatus();
  }

  absl::Status steps(int count) {
    FXQ_ASSIGN_OR_RETURN(const std::unique_ptr<Executor> profiled, load(true));
    for (int i = 0; i < count; ++i) {
      FXQ_RETURN_IF_ERROR(profiled->run({&input_, 1}).status());
    }
    nlohmann::json steps = nlohmann::json::array();
    for (const StepProfile& step : profiled->profile()) {
      steps.push_back({{"name", step.name},
                       {"kernel", step.kernel},
                       {"implementation", step.implementation},
                       {"min_ms", step.min_seconds * 1000.0}});
    }
    answer(steps);
    return absl::OkStatus();
  }

  absl::Status save(const std::string& path) {
    FXQ_ASSIGN_OR_RETURN(const std::vector<HostTensor> outputs, executor_->run({&input_, 1}));
    for (size_t i = 0; i < outputs.size(); ++i) {
      FXQ_RETURN_IF_ERROR(write_npy(fmt::format("{}.{}.npy", path, i), outputs[i]));
    }
    answer("ok");
    return absl::OkStatus();
  }

  std::string path_;
  HostTensor input_;
  int threads_;
  std::unique_ptr<Executor> executor_;
};

absl::Status serve(const std::string& model, const std::string& input, int threads) {
  FXQ_ASSIGN_OR_RETURN(HostTensor tensor, read_npy(input));
  Worker worker(model, std::move(tensor), threads);
  FXQ_RETURN_IF_ERROR(worker.start());
  std::string line;
  while (std::getline(std::cin, line)) {
    FXQ_ASSIGN_OR_RETURN(const bool more, worker.obey(line));
    if (!more) break;
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace fxq

int main(int count, char** arguments) {
  if (count != 4) {
    std::fprintf(stderr, "usage: peer_worker M.fxq INPUT.npy THREADS\n");
    return 2;
  }
  const absl::Status status = fxq::serve(arguments[1], arguments[2], std::atoi(arguments[3]));
  if (status.ok()) return 0;
  std::fprintf(stderr, "peer_worker: %s\n", std::string(status.message()).c_str());
  return 1;
}
