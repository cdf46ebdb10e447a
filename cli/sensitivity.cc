// fxq sensitivity: which layers cost the most, and a config that keeps the worst in float.
#include "fxq/quant/sensitivity.h"

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "fxq/base/file.h"
#include "fxq/base/status.h"
#include "fxq/cli/command.h"
#include "fxq/cli/quantize_job.h"
#include "fxq/cli/terminal/table.h"
#include "fxq/quant/qconfig_json.h"

namespace fxq {
namespace {

struct SensitivityArguments {
  QuantizeArguments quantize;
  int64_t batches = 2;
  int64_t keep = 3;
};

void print_ranking(const std::vector<LayerSensitivity>& ranking) {
  Table table({{"SQNR dB", Align::kRight}, {"node"}, {"op"}, {"module"}});
  for (const LayerSensitivity& layer : ranking) {
    table.add_row({std::isinf(layer.sqnr_db) ? "-" : fmt::format("{:.1f}", layer.sqnr_db),
                   layer.node, layer.op, layer.module});
  }
  fmt::print("SQNR of the outputs with only this op quantized, the worst first:\n{}",
             table.render());
}

// The settings of this run, so that `fxq quantize --config` repeats it.
std::string config_text(const Settings& settings, const QConfigDict& dict) {
  using json = nlohmann::ordered_json;
  json root = json::object();
  root["march"] = std::string(march_name(settings.march));
  root["batch"] = settings.batch;
  if (settings.limit) root["limit"] = *settings.limit;
  if (!settings.config.preprocess.empty()) {
    root["preprocess"] = json::parse(settings.config.preprocess);
  }
  root["qconfig"] = json::parse(to_json(dict));
  return root.dump(2) + "\n";
}

absl::Status sensitivity(const SensitivityArguments& arguments) {
  const std::string& output = arguments.quantize.output;
  if (!output.empty()) FXQ_RETURN_IF_ERROR(check_writable(output));
  FXQ_ASSIGN_OR_RETURN(QuantizeJob job, QuantizeJob::open(arguments.quantize));
  const QConfigDict& qconfigs = job.settings().qconfigs;
  FXQ_ASSIGN_OR_RETURN(const ObservedGraphModule observed, job.calibrated(qconfigs));
  FXQ_ASSIGN_OR_RETURN(const Batches batches, job.batches(arguments.batches));
  FXQ_ASSIGN_OR_RETURN(const auto ranking, rank_layers(job.fused(), observed, batches));
  print_ranking(ranking);
  const QConfigDict kept = keep_in_float(qconfigs, ranking, static_cast<size_t>(arguments.keep));
  FXQ_ASSIGN_OR_RETURN(const ObservedGraphModule better, job.calibrated(kept));
  FXQ_ASSIGN_OR_RETURN(const double before, output_sqnr_db(job.fused(), observed, batches));
  FXQ_ASSIGN_OR_RETURN(const double after, output_sqnr_db(job.fused(), better, batches));
  fmt::print("all quantized: {:.1f} dB; with these in float: {:.1f} dB\n", before, after);
  for (size_t i = qconfigs.any_member.size(); i < kept.any_member.size(); ++i) {
    fmt::print("  {}\n", kept.any_member[i].first);
  }
  if (output.empty()) return absl::OkStatus();
  FXQ_RETURN_IF_ERROR(write_file_atomically(output, config_text(job.settings(), kept)));
  fmt::print("wrote {}: fxq quantize --config {}\n", output, output);
  return absl::OkStatus();
}

}  // namespace

Command add_sensitivity(CLI::App& root) {
  auto arguments = std::make_shared<SensitivityArguments>();
  CLI::App* app =
      root.add_subcommand("sensitivity", "Rank layers by what their quantization alone costs");
  app->footer(
      "Each op in turn is the only one quantized (its weight and its result). Ops that are\n"
      "functions have no module of their own: nothing names them alone, and they stay quantized.\n"
      "Example: fxq sensitivity m.pt --calib x.npy --keep 2 -o c.json\n"
      "         fxq quantize m.pt --calib x.npy --config c.json -o m.fxq");
  add_quantize_options(*app, arguments->quantize);
  app->add_option("-o,--output", arguments->quantize.output,
                  "Config to write (.json) that keeps the most sensitive layers in float");
  app->add_option("--keep", arguments->keep, "So many layers (default 3)")
      ->check(positive_number());
  app->add_option("--batches", arguments->batches, "Measure on so many batches (default 2)")
      ->check(positive_number());
  return {app, [arguments] { return sensitivity(*arguments); }};
}

}  // namespace fxq
