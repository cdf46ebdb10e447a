// --config: JSON with comments. Keys: "march", "observer", "batch", "limit", "preprocess",
// "qconfig" (quant/qconfig_json.h), "qat" (train/train_options.h), "hybrid" ({"module_type":
// ["PReLU"], "module_name": ["head"]}).
// Unknown keys are errors that name the nearest known one; all problems come at once.
#pragma once

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "fxq/quant/hybrid.h"
#include "fxq/quant/march.h"
#include "fxq/quant/qconfig.h"

namespace fxq {

// Samples per step where neither the command line nor the config says.
inline constexpr int64_t kDefaultBatch = 8;

struct Config {
  std::optional<March> march;
  std::optional<std::string> observer;
  std::optional<int64_t> batch;
  std::optional<int64_t> limit;
  std::string preprocess;  // the block as JSON text
  std::string qconfig;     // the block as JSON text
  HybridDict hybrid_dict;
  std::string qat;  // the block as JSON text
};

absl::StatusOr<Config> read_config(const std::string& path);

// The qconfig block (may be "") over the default calibration qconfig with `observer` ("": mse).
absl::StatusOr<QConfigDict> make_qconfig_dict(const std::string& block,
                                              const std::string& observer);

absl::StatusOr<March> parse_march(const std::string& name);

}  // namespace fxq
