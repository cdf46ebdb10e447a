// fxq quantize: trace -> fuse -> calibrate -> convert -> lower -> one .fxq file.
#include <ATen/core/Tensor.h>
#include <fmt/format.h>

#include <limits>

#include "fxq/base/status.h"
#include "fxq/cli/command.h"
#include "fxq/cli/feed.h"
#include "fxq/cli/model_file.h"
#include "fxq/cli/quantize_job.h"
#include "fxq/cli/written_files.h"
#include "fxq/graph/tensor_convert.h"
#include "fxq/quant/compare.h"
#include "fxq/quant/convert_fx.h"
#include "fxq/quant/partition.h"
#include "fxq/runtime/lower/lower.h"

namespace fxq {
namespace {

// The program beside the float model on the first batch. Sizes that data decides (boxes that are
// kept) may differ, and say nothing of the values.
struct Closeness {
  double worst_sqnr = std::numeric_limits<double>::infinity();
  size_t compared = 0;
  size_t of_other_sizes = 0;

  void print() const {
    if (compared > 0) {
      fmt::print("SQNR of int8 against float on the first batch: {:.1f} dB\n", worst_sqnr);
    }
    if (of_other_sizes > 0) {
      fmt::print("not compared: {} output(s) whose sizes data decides, other ones than in float\n",
                 of_other_sizes);
    }
  }
};

std::string float_line(const OpStatus& op) {
  return fmt::format("{}: %{} ({}) {} {}", op.mode == OpMode::kFloat ? "float" : "through float",
                     op.node, op.op, op.code, op.reason);
}

// --strict
absl::Status check_strict(const QuantReport& report) {
  std::vector<std::string> lines;
  for (const OpStatus* op : report.computed_in_float()) lines.push_back(float_line(*op));
  if (lines.empty()) return absl::OkStatus();
  return gate_missed(fmt::format("--strict: {} of {} ops are computed in float:\n  {}",
                                 lines.size(), report.ops.size(), fmt::join(lines, "\n  ")));
}

void print_report(const QuantizedGraph& model, const Closeness& closeness,
                  const std::string& path) {
  const QuantReport& report = model.report;
  for (const std::string& note : report.notes) fmt::print("note: {}\n", note);
  fmt::print("ops: {} int8, {} int16, {} float\n", report.count(OpMode::kInt8),
             report.count(OpMode::kInt16), report.count(OpMode::kFloat));
  for (const OpStatus* op : report.computed_in_float()) fmt::print("  {}\n", float_line(*op));
  if (report.count(OpMode::kInt8) + report.count(OpMode::kInt16) == 0) {
    fmt::print(stderr, "warning: nothing was quantized; the list says why\n");
  }
  if (has_bpu(model.march())) fmt::print("{}", partition(model.graph_module()).to_string());
  closeness.print();
  fmt::print("wrote {}\n", path);
}

// Runs the program that is to be written, as its users will.
absl::StatusOr<Closeness> closeness_of(const GraphModule& reference, const Program& program,
                                       const std::vector<NamedTensor>& inputs) {
  FXQ_ASSIGN_OR_RETURN(const c10::IValue expected, reference.forward(to_values(inputs)));
  ExecutorRequest request;
  request.allow_torchscript = true;
  FXQ_ASSIGN_OR_RETURN(const std::unique_ptr<Executor> executor,
                       Executor::create(program, executor_options(request)));
  FXQ_ASSIGN_OR_RETURN(const std::vector<HostTensor> outputs,
                       executor->run(to_host_tensors(inputs)));
  const std::vector<at::Tensor> tensors = flatten_tensors(expected);
  if (outputs.size() != tensors.size()) {
    return absl::InternalError(
        fmt::format("the program has {} outputs, the model {}", outputs.size(), tensors.size()));
  }
  Closeness result;
  for (size_t i = 0; i < outputs.size(); ++i) {
    const at::Tensor actual = to_at_tensor(outputs[i]);
    if (actual.sizes() != tensors[i].sizes()) {
      ++result.of_other_sizes;
      continue;
    }
    FXQ_ASSIGN_OR_RETURN(const double sqnr, sqnr_db(tensors[i], actual));
    result.worst_sqnr = std::min(result.worst_sqnr, sqnr);
    ++result.compared;
  }
  return result;
}

// What its users will meet, said before they do.
void print_torchscript(const GraphModule& gm, const std::string& path) {
  std::vector<std::string> parts;
  for (const Node* node : gm.graph().nodes()) {
    if (node->is(NodeKind::kCallModule) && !node->schema()) parts.push_back(node->name());
  }
  if (parts.empty()) return;
  constexpr size_t kShown = 5;
  const size_t count = parts.size();
  if (count > kShown) {
    parts.resize(kShown);
    parts.emplace_back("...");
  }
  fmt::print(stderr,
             "note: {} part(s) stay TorchScript in {}: {}\n"
             "  running it needs --allow-torchscript; a traced model often has none\n",
             count, path, fmt::join(parts, ", "));
}

absl::Status quantize(const QuantizeArguments& arguments) {
  FXQ_RETURN_IF_ERROR(check_written({arguments.output, arguments.prepared}, files_read(arguments)));
  FXQ_ASSIGN_OR_RETURN(QuantizeJob job, QuantizeJob::open(arguments));
  const Settings& settings = job.settings();
  FXQ_ASSIGN_OR_RETURN(const ObservedGraphModule observed, job.calibrated(settings.qconfigs));
  ConvertOptions convert;
  convert.allow_uncalibrated = arguments.allow_uncalibrated;
  FXQ_ASSIGN_OR_RETURN(const QuantizedGraph model, convert_fx(observed, convert));
  if (arguments.strict) FXQ_RETURN_IF_ERROR(check_strict(model.report));
  Provenance provenance{arguments.model, "", settings.config.preprocess};
  FXQ_ASSIGN_OR_RETURN(provenance.float_hash, file_hash(arguments.model));
  FXQ_ASSIGN_OR_RETURN(const Program program, lower(model.graph_module()));
  FXQ_ASSIGN_OR_RETURN(const Closeness closeness,
                       closeness_of(job.fused(), program, job.first_batch()));
  FXQ_RETURN_IF_ERROR(save_fxq(model, program, provenance, arguments.output));
  FXQ_RETURN_IF_ERROR(save_prepared(observed, arguments));
  if (!arguments.quiet) print_report(model, closeness, arguments.output);
  print_torchscript(model.graph_module(), arguments.output);
  return absl::OkStatus();
}

}  // namespace

Command add_quantize(CLI::App& root) {
  auto arguments = std::make_shared<QuantizeArguments>();
  CLI::App* app = root.add_subcommand("quantize", "Make an int8 program from a TorchScript model");
  app->footer(
      "Examples:\n"
      "  fxq quantize m.pt --calib x.npy -o m.fxq\n"
      "  fxq quantize m.pt --calib image=pictures/ --calib mask=mask.npy --config c.json -o m.fxq\n"
      "  fxq quantize m.pt --random-calib 4x3x224x224 -o m.fxq      (speed tests only)\n"
      "  fxq quantize m.pt --calib x.npy --int16 'head.*' --float 'post.*' -o m.fxq\n"
      "Qconfigs in --config; the longest path wins, null keeps a module in float; `fxq inspect "
      "m.pt\n"
      "--config c.json` shows who gets what:\n"
      "  {\"qconfig\": {\"\": {\"dtype\": \"qint8\"}, \"module_name\": [[\"fc\", null]],\n"
      "               \"module_type\": [[\"Linear\", {\"dtype\": \"qint16\", \"observer\": "
      "\"mse\"}]]}}");
  add_quantize_options(*app, *arguments);
  app->add_option("-o,--output", arguments->output, "File to write (.fxq)")->required();
  add_prepared_option(*app, *arguments);
  app->add_flag("--allow-uncalibrated", arguments->allow_uncalibrated,
                "Go on if a value never saw data");
  app->add_flag("--strict", arguments->strict, "Fail if an op stays in float");
  return {app, [arguments] { return quantize(*arguments); }};
}

}  // namespace fxq
