// fxq eval: top-1 = share of samples whose largest output is their label.
#include <fmt/format.h>

#include <algorithm>

#include "fxq/base/status.h"
#include "fxq/cli/command.h"
#include "fxq/cli/config_file.h"
#include "fxq/cli/feed.h"
#include "fxq/cli/runner.h"
#include "fxq/cli/terminal/interrupt.h"
#include "fxq/cli/terminal/progress.h"
#include "fxq/data/labels.h"

namespace fxq {
namespace {

struct EvalArguments {
  RunnerRequest model;
  std::vector<std::string> data;
  std::string labels;
  std::string config;
  int64_t batch = 32;
  int64_t limit = 0;
  bool quiet = false;
};

absl::StatusOr<int64_t> count_right(const HostTensor& scores, int64_t samples,
                                    const std::vector<int64_t>& labels, int64_t first) {
  const std::vector<int64_t>& dims = scores.dims();
  if (dims.size() == 2 && dims[0] != samples) {
    return absl::InvalidArgumentError(fmt::format(
        "top-1 needs one row of scores per sample; of {} samples the first output is {}", samples,
        scores.describe()));
  }
  if (dims.size() != 2 || scores.dtype() != DType::kF32 || dims[1] == 0) {
    return absl::InvalidArgumentError(
        fmt::format("top-1 needs one score per class, f32[N,classes]; the first output is {}",
                    scores.describe()));
  }
  int64_t right = 0;
  for (int64_t i = 0; i < dims[0]; ++i) {
    const float* row = scores.data<float>().data() + i * dims[1];
    const int64_t best = std::max_element(row, row + dims[1]) - row;
    const int64_t label = labels[static_cast<size_t>(first + i)];
    if (label < 0 || label >= dims[1]) {
      return absl::InvalidArgumentError(
          fmt::format("label {} of sample {} is no class; the model has {} (0 to {})", label,
                      first + i, dims[1], dims[1] - 1));
    }
    if (label == best) ++right;
  }
  return right;
}

absl::StatusOr<Dataset> open_data(const EvalArguments& arguments, const Runner& runner) {
  FeedRequest request;
  request.files = arguments.data;
  request.input_names = runner.input_names();
  request.batch = arguments.batch;
  if (arguments.limit > 0) request.limit = arguments.limit;
  request.preprocess = runner.preprocess();
  if (!arguments.config.empty()) {
    FXQ_ASSIGN_OR_RETURN(const Config config, read_config(arguments.config));
    if (!config.preprocess.empty()) request.preprocess = config.preprocess;
  }
  return open_dataset(request);
}

absl::Status eval(const EvalArguments& arguments) {
  FXQ_ASSIGN_OR_RETURN(const std::vector<int64_t> labels, read_labels(arguments.labels));
  FXQ_ASSIGN_OR_RETURN(const std::unique_ptr<Runner> runner, Runner::create(arguments.model));
  FXQ_ASSIGN_OR_RETURN(Dataset dataset, open_data(arguments, *runner));
  const auto samples = static_cast<size_t>(dataset.size());
  if (samples == 0 || samples > labels.size() ||
      (arguments.limit == 0 && samples != labels.size())) {
    return absl::InvalidArgumentError(
        fmt::format("{} samples and {} labels; there must be as many labels as samples", samples,
                    labels.size()));
  }
  ProgressOptions options;
  options.label = "eval";
  options.unit = "samples";
  options.total = dataset.size();
  options.mode = arguments.quiet ? ProgressMode::kQuiet : ProgressMode::kAuto;
  Progress progress(options);
  const InterruptGuard guard;
  int64_t right = 0;
  while (true) {
    FXQ_ASSIGN_OR_RETURN(const std::optional<Batch> batch, dataset.next());
    if (!batch) break;
    FXQ_ASSIGN_OR_RETURN(const std::vector<HostTensor> outputs, runner->run(batch->inputs));
    if (outputs.empty()) return absl::InvalidArgumentError("the model has no tensor output");
    FXQ_ASSIGN_OR_RETURN(const int64_t hits,
                         count_right(outputs[0], batch->size, labels, batch->first));
    right += hits;
    progress.advance(batch->size);
    if (interrupted()) return absl::CancelledError("interrupted");
  }
  progress.finish();
  fmt::print("top-1 {:.2f} % ({} of {})\n",
             100.0 * static_cast<double>(right) / static_cast<double>(samples), right, samples);
  return absl::OkStatus();
}

}  // namespace

Command add_eval(CLI::App& root) {
  auto arguments = std::make_shared<EvalArguments>();
  CLI::App* app = root.add_subcommand("eval", "Top-1 accuracy on labelled data");
  app->footer("Example:\n  fxq eval m.fxq --data x.npy --labels y.npy");
  app->add_option("model", arguments->model.model, "A .pt or .fxq file")->required();
  app->add_option("--data", arguments->data, "Samples: .npy, .npz, .pt, a folder of pictures")
      ->required();
  app->add_option("--labels", arguments->labels, "One class index per sample: .npy or .csv")
      ->required();
  app->add_option("--config", arguments->config, "JSON file with a preprocess block for pictures");
  app->add_option("--batch", arguments->batch, "Samples per step (default 32)")
      ->check(positive_number());
  app->add_option("--limit", arguments->limit, "Use so many samples only")
      ->check(positive_number());
  app->add_option("--threads", arguments->model.threads, "Threads (default 1)")
      ->check(CLI::Range(1, 1024));
  app->add_flag("--eager", arguments->model.eager, "Of a .pt: run the TorchScript module itself");
  app->add_flag("--allow-torchscript", arguments->model.allow_torchscript,
                "Run TorchScript code that the .fxq embeds");
  app->add_flag("-q,--quiet", arguments->quiet, "No progress");
  return {app, [arguments] { return eval(*arguments); }};
}

}  // namespace fxq
