// fxq run: inputs from files, outputs to .npy.
#include <fmt/format.h>

#include "absl/strings/match.h"
#include "fxq/base/status.h"
#include "fxq/cli/command.h"
#include "fxq/cli/config_file.h"
#include "fxq/cli/feed.h"
#include "fxq/cli/runner.h"
#include "fxq/cli/written_files.h"

namespace fxq {
namespace {

struct RunArguments {
  RunnerRequest model;
  std::vector<std::string> inputs;
  std::string output;
  std::string config;
};

absl::Status run(const RunArguments& arguments) {
  std::vector<std::string> read = arguments.inputs;
  read.push_back(arguments.model.model);
  FXQ_RETURN_IF_ERROR(check_written({arguments.output}, read));
  FXQ_ASSIGN_OR_RETURN(const std::unique_ptr<Runner> runner, Runner::create(arguments.model));
  FeedRequest request;
  request.files = arguments.inputs;
  request.input_names = runner->input_names();
  request.preprocess = runner->preprocess();
  request.whole = true;
  if (!arguments.config.empty()) {
    FXQ_ASSIGN_OR_RETURN(const Config config, read_config(arguments.config));
    if (!config.preprocess.empty()) request.preprocess = config.preprocess;
  }
  FXQ_ASSIGN_OR_RETURN(Dataset dataset, open_dataset(request));
  FXQ_ASSIGN_OR_RETURN(const std::optional<Batch> batch, dataset.next());
  if (!batch) return absl::InvalidArgumentError("the input holds no samples");
  FXQ_ASSIGN_OR_RETURN(const std::vector<HostTensor> outputs, runner->run(batch->inputs));
  FXQ_ASSIGN_OR_RETURN(const std::vector<std::string> paths,
                       write_outputs(outputs, arguments.output));
  for (size_t i = 0; i < paths.size(); ++i) {
    fmt::print("wrote {} {}\n", paths[i], outputs[i].describe());
  }
  for (const std::string& text : runner->texts()) fmt::print("an output is text: {}\n", text);
  return absl::OkStatus();
}

std::string is_npy(const std::string& path) {
  return absl::EndsWith(path, ".npy") ? "" : "outputs are written as .npy files, not " + path;
}

}  // namespace

Command add_run(CLI::App& root) {
  auto arguments = std::make_shared<RunArguments>();
  CLI::App* app = root.add_subcommand("run", "Run a model on files");
  app->footer(
      "Examples:\n"
      "  fxq run m.fxq --input x.npy --output y.npy\n"
      "  fxq run m.fxq --input image=x.npy --input mask=z.npy --output y.npy   (y.0.npy, ...)\n"
      "  fxq run m.pt --eager --input x.npy --output y.npy");
  app->add_option("model", arguments->model.model, "A .pt or .fxq file")->required();
  app->add_option("--input", arguments->inputs, "Input file, or name=file for several inputs")
      ->required();
  app->add_option("--output", arguments->output, "File to write; several outputs: y.0.npy, ...")
      ->required()
      ->check(is_npy);
  app->add_option("--config", arguments->config, "JSON file with a preprocess block for pictures");
  app->add_option("--threads", arguments->model.threads, "Threads (default 1)")
      ->check(CLI::Range(1, 1024));
  app->add_flag("--eager", arguments->model.eager,
                "Of a .pt: run the TorchScript module itself, not the traced graph");
  app->add_flag("--allow-torchscript", arguments->model.allow_torchscript,
                "Run TorchScript code that the .fxq embeds");
  return {app, [arguments] { return run(*arguments); }};
}

}  // namespace fxq
