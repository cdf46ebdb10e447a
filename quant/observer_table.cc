// Observers by name: the API page's classes and the user guide's short names, in one table, and the
// classes that users register.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <map>
#include <mutex>
#include <tuple>

#include "fxq/base/nearest.h"
#include "fxq/base/status.h"
#include "fxq/quant/calibration_observers.h"

namespace fxq {
namespace {

enum class Scales : uint8_t { kOne, kPerChannel, kEither };

// Arguments that single classes read; bits.
enum Reads : uint8_t {
  kNothing = 0,
  kPercentile = 1,
  kBins = 2,
  kScale = 4,
  kLimits = 8,
  kStd = 16
};

struct ObserverRow {
  const char* name;
  const char* short_name;  // the user guide's
  Scales scales;
  uint8_t reads;
  bool may_sync;  // what it makes of a batch depends on the batch's range alone
  std::shared_ptr<Observer> (*make)(const ObserverOptions&);
};

template <typename T>
std::shared_ptr<Observer> make(const ObserverOptions& options) {
  return std::make_shared<T>(options);
}

constexpr ObserverRow kObservers[] = {
    {"MinMaxObserver", "min_max", Scales::kEither, kNothing, true, make<MinMaxObserver>},
    {"MovingAverageMinMaxObserver", "moving_average_min_max", Scales::kOne, kNothing, true,
     make<MovingAverageMinMaxObserver>},
    {"MovingAveragePerChannelMinMaxObserver", "moving_average_per_channel_min_max",
     Scales::kPerChannel, kNothing, true, make<MovingAveragePerChannelMinMaxObserver>},
    {"MseObserver", "mse", Scales::kEither, kNothing, false, make<MseObserver>},
    {"PercentileObserver", "percentile", Scales::kEither, kPercentile | kBins, false,
     make<PercentileObserver>},
    {"KLObserver", "kl", Scales::kEither, kBins, false, make<KLObserver>},
    {"MixObserver", "mix", Scales::kEither, kBins, false, make<MixObserver>},
    {"FixedScaleObserver", "fixed_scale", Scales::kEither, kScale, false, make<FixedScaleObserver>},
    {"ClipObserver", "clip", Scales::kEither, kLimits, false, make<ClipObserver>},
    {"ClipStdObserver", "clip_std", Scales::kEither, kStd, false, make<ClipStdObserver>},
};

struct Registry {
  std::mutex mutex;
  std::map<std::string, ObserverFactory, std::less<>> factories;
};
Registry& registry() {
  static auto* const own = new Registry;
  return *own;
}

// "bins (of percentile, kl, mix)"
std::string named_with_readers(const char* argument, Reads bit) {
  std::vector<std::string> readers;
  for (const ObserverRow& row : kObservers) {
    if ((row.reads & bit) != 0) readers.emplace_back(row.short_name);
  }
  return fmt::format("{} (of {})", argument, fmt::join(readers, ", "));
}

// Python's "unexpected keyword argument": what is set and not read.
absl::Status check_is_read(const ObserverRow& row, const ObserverOptions& options) {
  const ObserverOptions standard;
  const std::tuple<Reads, bool, const char*> arguments[] = {
      {kPercentile, options.percentile != standard.percentile, "percentile"},
      {kBins, options.bins != standard.bins, "bins"},
      {kScale, options.scale != standard.scale, "scale"},
      {kLimits, options.xmin != standard.xmin, "xmin"},
      {kLimits, options.xmax != standard.xmax, "xmax"},
      {kStd, options.std_scale != standard.std_scale, "std_scale"}};
  std::vector<std::string> unread;
  for (const auto& [bit, is_set, name] : arguments) {
    if (is_set && (row.reads & bit) == 0) unread.push_back(named_with_readers(name, bit));
  }
  if (unread.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      fmt::format("{} takes no {}", row.name, fmt::join(unread, ", ")));
}

// The options with what the class alone knows.
absl::StatusOr<ObserverOptions> resolve(std::string_view name, Scales scales,
                                        ObserverOptions options) {
  const bool asks_per_channel = options.ch_axis || options.qscheme == QScheme::kPerChannelSymmetric;
  if (scales == Scales::kOne && asks_per_channel) {
    return absl::InvalidArgumentError(
        fmt::format("{} keeps one scale: it takes no ch_axis and no per-channel qscheme; "
                    "MovingAveragePerChannelMinMaxObserver has one for each channel",
                    name));
  }
  if (scales == Scales::kPerChannel && options.qscheme == QScheme::kPerTensorSymmetric) {
    return absl::InvalidArgumentError(
        fmt::format("{} keeps a scale for each channel; MovingAverageMinMaxObserver has one for "
                    "the tensor",
                    name));
  }
  const bool per_channel = scales == Scales::kPerChannel || asks_per_channel;
  if (per_channel && !options.ch_axis) options.ch_axis = 0;
  FXQ_RETURN_IF_ERROR(options.validate());
  return options;
}

const ObserverRow* find_builtin(std::string_view name) {
  for (const ObserverRow& row : kObservers) {
    if (name == row.name || name == row.short_name) return &row;
  }
  return nullptr;
}

// Of a user's class; empty if there is none.
ObserverFactory find_registered(std::string_view name) {
  Registry& known = registry();
  const std::lock_guard<std::mutex> lock(known.mutex);
  const auto own = known.factories.find(name);
  return own == known.factories.end() ? nullptr : own->second;
}

absl::Status no_observer(std::string_view name) {
  std::vector<std::string> known;
  for (const ObserverRow& row : kObservers) {
    known.emplace_back(row.name);
    known.emplace_back(row.short_name);
  }
  Registry& users = registry();
  const std::lock_guard<std::mutex> lock(users.mutex);
  for (const auto& [own, factory] : users.factories) known.push_back(own);
  return absl::InvalidArgumentError(
      fmt::format("there is no observer '{}'; {}", name, did_you_mean(name, known)));
}

}  // namespace

absl::Status register_observer(std::string name, ObserverFactory factory) {
  if (name.empty() || !factory) {
    return absl::InvalidArgumentError("register_observer wants a name and a factory");
  }
  Registry& known = registry();
  const std::lock_guard<std::mutex> lock(known.mutex);
  if (find_builtin(name) || !known.factories.emplace(name, std::move(factory)).second) {
    return absl::InvalidArgumentError(
        fmt::format("register_observer: there is an observer '{}' already", name));
  }
  return absl::OkStatus();
}

absl::StatusOr<ObserverOptions> observer_options(std::string_view name,
                                                 const ObserverOptions& options) {
  if (const ObserverRow* row = find_builtin(name)) {
    if (options.is_sync_quantize && !row->may_sync) {
      return absl::InvalidArgumentError(
          fmt::format("{} has no is_sync_quantize: what it keeps of a batch needs the whole batch; "
                      "MinMaxObserver and the moving averages have it",
                      row->name));
    }
    FXQ_ASSIGN_OR_RETURN(ObserverOptions resolved, resolve(row->name, row->scales, options));
    FXQ_RETURN_IF_ERROR(check_is_read(*row, options));
    return resolved;
  }
  if (!find_registered(name)) return no_observer(name);
  return resolve(name, Scales::kEither, options);
}

absl::StatusOr<std::shared_ptr<Observer>> make_observer(std::string_view name,
                                                        const ObserverOptions& options) {
  FXQ_ASSIGN_OR_RETURN(const ObserverOptions resolved, observer_options(name, options));
  if (const ObserverRow* row = find_builtin(name)) return row->make(resolved);
  const ObserverFactory factory = find_registered(name);
  std::shared_ptr<Observer> made = factory ? factory(resolved) : nullptr;
  if (made) return made;
  return absl::InvalidArgumentError(fmt::format("the factory of observer '{}' gave none", name));
}

}  // namespace fxq
