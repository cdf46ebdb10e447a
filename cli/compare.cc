// fxq compare: where the quantized model departs from the float one, value by value, and why.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "fxq/base/status.h"
#include "fxq/cli/command.h"
#include "fxq/cli/quantize_job.h"
#include "fxq/cli/terminal/table.h"
#include "fxq/quant/convert_fx.h"
#include "fxq/quant/layer_errors.h"

namespace fxq {
namespace {

struct CompareArguments {
  QuantizeArguments quantize;
  int64_t batches = 4;
  bool worst = false;
};

std::string db(double value) { return std::isinf(value) ? "-" : fmt::format("{:.1f}", value); }

constexpr double kNotableLoss = 3.0;  // half of the signal-to-noise ratio

std::string cause_text(const LayerError& e) {
  const bool one_scale = e.cause == ErrorCause::kWeights && e.per_tensor_loss_db >= kNotableLoss;
  return std::string(cause_name(e.cause)) + (one_scale ? " (one scale)" : "");
}

void print_table(const std::vector<LayerError>& errors) {
  const auto right = Align::kRight;
  Table table({{"node"},
               {"op"},
               {"int8 dB", right},
               {"fake dB", right},
               {"local dB", right},
               {"weight dB", right},
               {"cosine", right},
               {"max steps", right},
               {"cause"}});
  for (const LayerError& e : errors) {
    table.add_row({e.node, e.op, db(e.int8_sqnr_db), db(e.fake_sqnr_db), db(e.local_sqnr_db),
                   db(e.weight_sqnr_db), fmt::format("{:.5f}", e.cosine),
                   e.max_abs_steps > 0 ? fmt::format("{:.1f}", e.max_abs_steps) : "-",
                   cause_text(e)});
  }
  fmt::print("{}", table.render());
}

// The largest loss first.
void print_per_tensor(std::vector<LayerError> errors) {
  std::stable_sort(errors.begin(), errors.end(), [](const auto& a, const auto& b) {
    return a.per_tensor_loss_db > b.per_tensor_loss_db;
  });
  for (const LayerError& e : errors) {
    if (e.per_tensor_loss_db < kNotableLoss) continue;
    fmt::print(
        "per-tensor weight: {} (%{}) loses {:.1f} dB to its one scale; a scale per channel keeps "
        "them\n",
        e.module, e.node, e.per_tensor_loss_db);
  }
}

absl::Status compare(const CompareArguments& arguments) {
  FXQ_ASSIGN_OR_RETURN(QuantizeJob job, QuantizeJob::open(arguments.quantize));
  FXQ_ASSIGN_OR_RETURN(const ObservedGraphModule observed, job.calibrated(job.settings().qconfigs));
  FXQ_ASSIGN_OR_RETURN(const QuantizedGraph quantized, convert_fx(observed));
  LayerComparison comparison(job.fused(), observed, quantized);
  FXQ_ASSIGN_OR_RETURN(const auto batches, job.batches(arguments.batches));
  for (const auto& batch : batches) FXQ_RETURN_IF_ERROR(comparison.add(batch));
  std::vector<LayerError> errors = comparison.errors();
  if (arguments.worst) {
    std::stable_sort(errors.begin(), errors.end(), [](const auto& a, const auto& b) {
      return a.local_sqnr_db < b.local_sqnr_db;
    });
  }
  print_table(errors);
  print_per_tensor(std::move(errors));
  return absl::OkStatus();
}

}  // namespace

Command add_compare(CLI::App& root) {
  auto arguments = std::make_shared<CompareArguments>();
  CLI::App* app = root.add_subcommand(
      "compare", "Quantize, and show where the values depart from the float model's");
  app->footer(
      "int8, fake: SQNR of integers and of fake quantization, accumulated up to there. local: of\n"
      "this op alone, on the float model's inputs; weight: of its quantized weight alone. cause:\n"
      "what most of its own error is: ROUNDING or CLIPPING of its result, or its WEIGHTS.\n"
      "Example: fxq compare m.pt --calib x.npy --config c.json --worst");
  add_quantize_options(*app, arguments->quantize);
  app->add_option("--batches", arguments->batches, "Compare on so many batches (default 4)")
      ->check(positive_number());
  app->add_flag("--worst", arguments->worst, "The worst local error first, not program order");
  return {app, [arguments] { return compare(*arguments); }};
}

}  // namespace fxq
