// cosine: lr * (1 + cos(pi * step / steps)) / 2; linear: lr * (1 - step / steps)
#include "fxq/train/train_options.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <vector>

#include "fxq/base/nearest.h"
#include "fxq/base/status.h"

namespace fxq {
namespace {

constexpr double kPi = 3.14159265358979323846;

struct Key {
  const char* name;
  const char* wants;
  bool (*read)(const nlohmann::json&, TrainOptions&);
};

bool read(const nlohmann::json& value, double& field) {
  if (value.is_number()) field = value.get<double>();
  return value.is_number();
}

bool read(const nlohmann::json& value, std::optional<double>& field) {
  if (value.is_number()) field = value.get<double>();
  return value.is_number();
}

bool read(const nlohmann::json& value, int64_t& field) {
  if (value.is_number_integer()) field = value.get<int64_t>();
  return value.is_number_integer();
}

bool read(const nlohmann::json& value, bool& field) {
  if (value.is_boolean()) field = value.get<bool>();
  return value.is_boolean();
}

bool read(const nlohmann::json& value, std::string& field) {
  if (value.is_string()) field = value.get<std::string>();
  return value.is_string();
}

#define FXQ_KEY(field, wants)                                                                \
  Key {                                                                                      \
#field, wants, [](const nlohmann::json& v, TrainOptions& o) { return read(v, o.field); } \
  }

const Key kKeys[] = {
    FXQ_KEY(optimizer, "\"sgd\", \"adam\" or \"adamw\""),
    FXQ_KEY(learning_rate, "a number"),
    FXQ_KEY(momentum, "a number"),
    FXQ_KEY(weight_decay, "a number"),
    FXQ_KEY(schedule, "\"cosine\", \"linear\" or \"constant\""),
    FXQ_KEY(gradient_clip, "a number"),
    FXQ_KEY(epochs, "an int"),
    FXQ_KEY(batch, "an int"),
    FXQ_KEY(seed, "an int"),
    FXQ_KEY(horizontal_flip, "true or false"),
    FXQ_KEY(shift, "an int"),
    FXQ_KEY(distillation, "a number"),
    FXQ_KEY(temperature, "a number"),
    FXQ_KEY(freeze_after, "a number"),
    FXQ_KEY(freeze_bn_after, "a number"),
    FXQ_KEY(patience, "an int"),
    FXQ_KEY(checkpoint_every, "an int"),
};

#undef FXQ_KEY

}  // namespace

absl::Status TrainOptions::validate() const {
  std::vector<std::string> problems;
  auto want = [&](bool good, const char* text) {
    if (!good) problems.emplace_back(text);
  };
  want(optimizer == "sgd" || optimizer == "adam" || optimizer == "adamw",
       "optimizer is sgd, adam or adamw");
  want(schedule == "cosine" || schedule == "linear" || schedule == "constant",
       "schedule is cosine, linear or constant");
  want(learning_rate > 0 && std::isfinite(learning_rate), "learning_rate is above 0");
  want(momentum >= 0 && momentum < 1, "momentum is in 0..1");
  want(weight_decay >= 0 && gradient_clip >= 0, "weight_decay and gradient_clip are not negative");
  want(epochs > 0 && batch > 0, "epochs and batch are above 0");
  constexpr int64_t kFarthest = 1 << 16;  // pixels
  want(shift >= 0 && shift <= kFarthest, "shift is in 0..65536");
  want(distillation >= 0 && distillation <= 1, "distillation is in 0..1");
  want(temperature > 0, "temperature is above 0");
  want(freeze_after >= 0 && freeze_after <= 1, "freeze_after is in 0..1");
  const double bn = freeze_bn_after.value_or(0);
  want(bn >= 0 && bn <= 1, "freeze_bn_after is in 0..1");
  want(patience >= 0 && checkpoint_every >= 0, "patience and checkpoint_every are not negative");
  if (problems.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(fmt::format("training: {}", fmt::join(problems, "; ")));
}

absl::StatusOr<TrainOptions> train_options_from_json(std::string_view json, TrainOptions standard) {
  if (json.empty()) return standard;
  const auto root = nlohmann::json::parse(json, nullptr, false, true);
  if (!root.is_object()) return absl::InvalidArgumentError("training options are no JSON object");
  std::vector<std::string> known, problems;
  for (const Key& key : kKeys) known.emplace_back(key.name);
  for (const auto& [name, value] : root.items()) {
    const Key* match = nullptr;
    for (const Key& key : kKeys) match = name == key.name ? &key : match;
    if (!match) {
      problems.push_back(fmt::format("there is no '{}'; {}", name, did_you_mean(name, known)));
    } else if (!match->read(value, standard)) {
      problems.push_back(fmt::format("'{}' wants {} and got {}", name, match->wants, value.dump()));
    }
  }
  if (!problems.empty()) {
    return absl::InvalidArgumentError(
        fmt::format("training options: {}", fmt::join(problems, "; ")));
  }
  FXQ_RETURN_IF_ERROR(standard.validate());
  return standard;
}

double scheduled_rate(const TrainOptions& options, int64_t step, int64_t steps) {
  const double done = static_cast<double>(step) / static_cast<double>(steps);
  if (options.schedule == "constant") return options.learning_rate;
  if (options.schedule == "linear") return options.learning_rate * (1 - done);
  return options.learning_rate * (1 + std::cos(kPi * done)) / 2;
}

std::string run_settings(const TrainOptions& options) {
  return fmt::format(
      "optimizer={} learning_rate={} momentum={} weight_decay={} schedule={} gradient_clip={} "
      "epochs={} batch={} seed={} distillation={} temperature={} freeze_after={} patience={} "
      "horizontal_flip={} shift={} freeze_bn_after={}{}",
      options.optimizer, options.learning_rate, options.momentum, options.weight_decay,
      options.schedule, options.gradient_clip, options.epochs, options.batch, options.seed,
      options.distillation, options.temperature, options.freeze_after, options.patience,
      options.horizontal_flip, options.shift, options.freeze_bn_after.value_or(1),
      options.origin.empty() ? "" : " " + options.origin);
}

}  // namespace fxq
