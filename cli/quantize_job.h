// What quantize, compare and sensitivity share: their options, the calibration data, and the way
// from a .pt to a calibrated graph.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "fxq/cli/config_file.h"
#include "fxq/cli/feed.h"
#include "fxq/data/dataset.h"
#include "fxq/graph/graph_module.h"
#include "fxq/quant/observed_graph.h"
#include "fxq/quant/qconfig.h"

namespace fxq {

struct QuantizeArguments {
  std::string model;
  std::vector<std::string> calib;
  std::vector<std::string> random_calib;
  std::string output;
  std::string prepared;  // where the prepared graph goes; "": nowhere
  std::string config;
  std::string march;
  std::string observer;
  std::vector<std::string> leaves;
  std::vector<std::string> int16;
  std::vector<std::string> floats;
  int64_t batch = 0;
  int64_t limit = 0;
  bool allow_uncalibrated = false;
  bool quiet = false;
  bool strict = false;
  bool hybrid = false;
  bool equalize = false;
  bool bias_correction = false;
  bool with_bn = false;  // batch norms stay, so that they can train
};

// All but --output.
void add_quantize_options(CLI::App& app, QuantizeArguments& arguments);
// Of these, those that are not about calibration data.
void add_model_options(CLI::App& app, QuantizeArguments& arguments);

// --prepared: keeps the graph with fake quantization, for export and for training that goes on.
void add_prepared_option(CLI::App& app, QuantizeArguments& arguments);
// Model, data, config.
std::vector<std::string> files_read(const QuantizeArguments& arguments);
absl::Status save_prepared(const ObservedGraphModule& model, const QuantizeArguments& arguments);

struct Settings {
  Config config;
  QConfigDict qconfigs;
  March march = March::CPU;
  int64_t batch = 8;
  std::optional<int64_t> limit;
};

// Batches of one run: a dataset, or one random batch.
class CalibrationData {
 public:
  static absl::StatusOr<CalibrationData> open(const QuantizeArguments& arguments,
                                              const Settings& settings,
                                              const std::vector<std::string>& names);

  int64_t size() const { return size_; }

  absl::StatusOr<std::optional<Batch>> next();
  void rewind();

 private:
  std::optional<Dataset> dataset_;
  std::vector<NamedTensor> random_;
  bool random_used_ = false;
  int64_t size_ = 0;
};

// A model and its data, opened once; calibrated as often as one likes.
class QuantizeJob {
 public:
  // Traces, gives types from the first batch, fuses; prints what fusion has to say.
  static absl::StatusOr<QuantizeJob> open(const QuantizeArguments& arguments);

  const Settings& settings() const { return settings_; }
  const GraphModule& fused() const { return *fused_; }
  const std::vector<NamedTensor>& first_batch() const { return first_; }

  // Prepared with these qconfigs (globs are expanded) and run on all data.
  absl::StatusOr<ObservedGraphModule> calibrated(QConfigDict qconfigs);
  // At most `count` batches of the data, from its beginning.
  absl::StatusOr<std::vector<std::vector<c10::IValue>>> batches(int64_t count);

 private:
  Settings settings_;
  std::optional<CalibrationData> data_;
  std::vector<NamedTensor> first_;
  std::optional<GraphModule> fused_;
  bool quiet_ = false;
  bool hybrid_ = false;
  bool bias_correction_ = false;
};

}  // namespace fxq
