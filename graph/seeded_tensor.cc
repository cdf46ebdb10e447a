// splitmix64(seed) -> uniform in [0, 1) from the upper 53 bits; normal = sum of 12 uniforms of 16
// bits minus 6 (mean 0, variance 1): only exact arithmetic, so every platform gives the same
// numbers.
#include "fxq/graph/seeded_tensor.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "fxq/base/nearest.h"
#include "fxq/base/status.h"

namespace fxq {
namespace {

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t bits() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15ULL;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
  }
  double uniform() { return static_cast<double>(bits() >> 11) * 0x1p-53; }
  double normal() {
    uint64_t sum = 0;
    for (int word = 0; word < 3; ++word) {
      const uint64_t four = bits();
      for (int shift = 0; shift < 64; shift += 16) sum += (four >> shift) & 0xffff;
    }
    return static_cast<double>(sum) * 0x1p-16 - 6.0;
  }

 private:
  uint64_t state_;
};

absl::StatusOr<double> to_number(const Argument& argument) {
  if (const auto* value = argument.get_if<int64_t>()) return static_cast<double>(*value);
  if (const auto* value = argument.get_if<double>()) return *value;
  if (const auto* value = argument.get_if<bool>()) return *value ? 1.0 : 0.0;
  return absl::InvalidArgumentError("expected a number, read " + argument.to_string());
}

// The numbers among the arguments, `defaults` for those that are missing; nan: must be given.
absl::StatusOr<std::vector<double>> numbers(const TensorInit& init, std::vector<double> defaults) {
  if (init.args.size() > defaults.size()) {
    return absl::InvalidArgumentError(
        fmt::format("{}(..) takes at most {} arguments", init.kind, defaults.size()));
  }
  for (size_t i = 0; i < init.args.size(); ++i) {
    FXQ_ASSIGN_OR_RETURN(defaults[i], to_number(init.args[i]));
  }
  const bool missing = std::any_of(defaults.begin() + static_cast<long>(init.args.size()),
                                   defaults.end(), [](double x) { return std::isnan(x); });
  if (missing) {
    return absl::InvalidArgumentError(fmt::format("{}(..) needs its first argument", init.kind));
  }
  return defaults;
}

uint64_t seed_of(const TensorInit& init, uint64_t salt) {
  const auto* seed = init.args.empty() ? nullptr : init.args[0].get_if<int64_t>();
  return (seed ? static_cast<uint64_t>(*seed) : 0) * 0x2545f4914f6cdd1dULL + salt;
}

absl::Status fill_values(const TensorInit& init, absl::Span<double> out) {
  const auto* items = init.args.size() == 1 ? init.args[0].items() : nullptr;
  if (!items || items->size() != out.size()) {
    return absl::InvalidArgumentError(
        fmt::format("values([..]) needs one list of {} numbers", out.size()));
  }
  for (size_t i = 0; i < out.size(); ++i) {
    FXQ_ASSIGN_OR_RETURN(out[i], to_number((*items)[i]));
  }
  return absl::OkStatus();
}

constexpr double kRequired = std::numeric_limits<double>::quiet_NaN();

absl::Status fill_random(const TensorInit& init, uint64_t salt, absl::Span<double> out) {
  Random random(seed_of(init, salt));
  if (init.kind == "normal") {
    FXQ_ASSIGN_OR_RETURN(const auto given, numbers(init, {kRequired, 1.0}));
    for (double& x : out) x = random.normal() * given[1];
  } else {
    FXQ_ASSIGN_OR_RETURN(const auto given, numbers(init, {kRequired, 0.0, 1.0}));
    for (double& x : out) x = given[1] + random.uniform() * (given[2] - given[1]);
  }
  return absl::OkStatus();
}

absl::Status fill(const TensorInit& init, uint64_t salt, absl::Span<double> out) {
  if (init.kind == "normal" || init.kind == "uniform") return fill_random(init, salt, out);
  if (init.kind == "values") return fill_values(init, out);
  double start = 0;
  double step = 0;
  if (init.kind == "zeros" || init.kind == "ones") {
    FXQ_RETURN_IF_ERROR(numbers(init, {}).status());
    start = init.kind == "ones" ? 1.0 : 0.0;
  } else if (init.kind == "full") {
    FXQ_ASSIGN_OR_RETURN(const auto given, numbers(init, {kRequired}));
    start = given[0];
  } else if (init.kind == "arange") {
    FXQ_ASSIGN_OR_RETURN(const auto given, numbers(init, {0.0, 1.0}));
    start = given[0];
    step = given[1];
  } else {
    const std::vector<std::string> known{"normal", "uniform", "zeros", "ones",
                                         "full",   "arange",  "values"};
    return absl::InvalidArgumentError(
        fmt::format("unknown initial state '{}': {}", init.kind, did_you_mean(init.kind, known)));
  }
  for (size_t i = 0; i < out.size(); ++i) out[i] = start + static_cast<double>(i) * step;
  return absl::OkStatus();
}

struct Range {
  double low, high;
};

Range range_of(at::ScalarType type) {
  switch (type) {
    case at::kBool:
      return {0, 1};
    case at::kChar:
      return {-128, 127};
    case at::kByte:
      return {0, 255};
    case at::kShort:
      return {-32768, 32767};
    case at::kInt:
      return {-2147483648.0, 2147483647.0};
    default:
      return {-0x1p53, 0x1p53};
  }
}

}  // namespace

absl::StatusOr<at::Tensor> seeded_tensor(const TensorInit& init, const at::Tensor& like,
                                         uint64_t salt) {
  at::Tensor values = at::empty(like.sizes(), at::TensorOptions().dtype(at::kDouble));
  const absl::Span<double> out(values.data_ptr<double>(), static_cast<size_t>(values.numel()));
  FXQ_RETURN_IF_ERROR(fill(init, salt, out));
  if (!like.is_floating_point()) {
    const Range range = range_of(like.scalar_type());
    for (double& x : out)
      x = std::isnan(x) ? 0 : std::clamp(std::nearbyint(x), range.low, range.high);
  }
  return values.to(like.scalar_type());
}

}  // namespace fxq
