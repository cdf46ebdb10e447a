// percentile(p) is the sample at rank ceil(p / 100 * n) of the sorted times: always a time that was
// measured.
#include "fxq/cli/bench_times.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <numeric>

#include "fxq/base/check.h"

namespace fxq {

double Latencies::percentile(double percent) const {
  FXQ_CHECK(!values_.empty(), "no latencies");
  std::vector<double> sorted = values_;
  std::sort(sorted.begin(), sorted.end());
  const double rank = std::ceil(percent / 100.0 * static_cast<double>(sorted.size()));
  const auto index = static_cast<size_t>(std::max(rank, 1.0)) - 1;
  return sorted[std::min(index, sorted.size() - 1)];
}

double Latencies::mean() const {
  return std::accumulate(values_.begin(), values_.end(), 0.0) / static_cast<double>(values_.size());
}

nlohmann::json Latencies::to_json() const {
  return {{"min", min()},          {"p50", percentile(50)}, {"p90", percentile(90)},
          {"p99", percentile(99)}, {"mean", mean()},        {"runs", values_.size()}};
}

std::string Latencies::to_string() const {
  return fmt::format("min {:.3f}  p50 {:.3f}  p90 {:.3f}  p99 {:.3f} ms  ({} runs)", min(),
                     percentile(50), percentile(90), percentile(99), values_.size());
}

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

}  // namespace fxq
