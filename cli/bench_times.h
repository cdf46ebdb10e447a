// Latencies of repeated runs: collected in milliseconds, summarised as percentiles.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace fxq {

class Latencies {
 public:
  void add(double milliseconds) { values_.push_back(milliseconds); }
  size_t count() const { return values_.size(); }
  // The smallest value that at least `percent` of all values do not exceed. At least one is needed.
  double percentile(double percent) const;
  double min() const { return percentile(0); }
  double mean() const;

  nlohmann::json to_json() const;
  // "min 5.61  p50 5.80  p90 6.02  p99 6.40 ms"
  std::string to_string() const;

 private:
  std::vector<double> values_;
};

// Milliseconds of a steady clock.
double now_ms();
// Peak resident size of this process so far.
double peak_rss_mib();

}  // namespace fxq
