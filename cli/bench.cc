// fxq bench: how long one run takes. --compare float interleaves the TorchScript model in the same
// process, run by run, so that both see the same machine.
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/runtime/graph_executor.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "fxq/base/status.h"
#include "fxq/cli/bench_times.h"
#include "fxq/cli/command.h"
#include "fxq/cli/feed.h"
#include "fxq/cli/model_file.h"
#include "fxq/cli/terminal/interrupt.h"
#include "fxq/cli/terminal/table.h"
#include "fxq/runtime/isa.h"
#include "fxq/tracer/trace.h"

namespace fxq {
namespace {

struct BenchArguments {
  std::string model;
  std::vector<std::string> shapes;
  std::string compare;
  std::string float_model;
  int threads = 1;
  int64_t batch = 1;
  int64_t runs = 0;
  double seconds = 3.0;
  bool profile = false;
  bool json = false;
  bool allow_torchscript = false;
};

struct Measured {
  double load_ms = 0;
  double first_ms = 0;
  Latencies latencies;
};

struct Result {
  Measured int8;
  std::optional<Measured> floating;
  Latencies ratios;  // float / int8, pair by pair
  SignatureInfo signature;
  double rss_mib = 0;  // after int8 alone
  std::vector<std::string> shapes;
  std::vector<StepProfile> steps;
};

using Run = std::function<absl::Status()>;

absl::StatusOr<double> timed(const Run& run) {
  const double start = now_ms();
  FXQ_RETURN_IF_ERROR(run());
  return now_ms() - start;
}

// Shapes of the example that the model was calibrated with, with another batch.
absl::StatusOr<std::vector<std::string>> default_shapes(const BenchArguments& arguments) {
  FXQ_ASSIGN_OR_RETURN(const QuantizedGraph model,
                       load_fxq_graph(arguments.model, arguments.allow_torchscript));
  std::vector<std::string> shapes;
  for (const Node* node : model.graph_module().graph().placeholders()) {
    if (!node->type.has_static_shape()) {
      return absl::InvalidArgumentError(
          fmt::format("the file does not say the shape of input '{}'; give --shape {}=1x3x224x224",
                      node->target(), node->target()));
    }
    std::vector<int64_t> sizes;
    for (const Dim& dim : *node->type.dims) sizes.push_back(dim.size);
    if (!sizes.empty()) sizes[0] = arguments.batch;
    shapes.push_back(fmt::format("{}={}", node->target(), fmt::join(sizes, "x")));
  }
  return shapes;
}

absl::StatusOr<std::string> float_path(const BenchArguments& arguments) {
  if (!arguments.float_model.empty()) return arguments.float_model;
  FXQ_ASSIGN_OR_RETURN(const Provenance provenance, load_provenance(arguments.model));
  const auto hash = file_hash(provenance.float_model);
  if (hash.ok() && *hash == provenance.float_hash) return provenance.float_model;
  return absl::NotFoundError(fmt::format(
      "the float model '{}' is {}; say where it is with --float M.pt", provenance.float_model,
      hash.ok() ? "not the file any more that was quantized" : "not there"));
}

class FloatModel {
 public:
  static absl::StatusOr<std::unique_ptr<FloatModel>> load(const BenchArguments& arguments,
                                                          std::vector<c10::IValue> inputs) {
    FXQ_ASSIGN_OR_RETURN(const std::string path, float_path(arguments));
    FXQ_ASSIGN_OR_RETURN(torch::jit::Module module, load_script_module(path));
    module.eval();
    at::set_num_threads(arguments.threads);
    return std::unique_ptr<FloatModel>(new FloatModel(std::move(module), std::move(inputs)));
  }
  absl::Status run() {
    c10::InferenceMode inference;
    try {
      module_.forward(inputs_);
    } catch (const std::exception& error) {
      return absl::InvalidArgumentError(error.what());
    }
    return absl::OkStatus();
  }

 private:
  FloatModel(torch::jit::Module module, std::vector<c10::IValue> inputs)
      : module_(std::move(module)), inputs_(std::move(inputs)) {}
  torch::jit::Module module_;
  std::vector<c10::IValue> inputs_;
};

// Until time or count is used up, at least 5 runs of each side.
absl::Status measure(const BenchArguments& arguments, const Run& int8, const Run& floating,
                     Result& result) {
  const InterruptGuard guard;
  const double end = now_ms() + arguments.seconds * 1000.0;
  for (int64_t i = 0;; ++i) {
    const bool enough = arguments.runs > 0 ? i >= arguments.runs : i >= 5 && now_ms() > end;
    if (enough) return absl::OkStatus();
    FXQ_ASSIGN_OR_RETURN(const double fast, timed(int8));
    result.int8.latencies.add(fast);
    if (floating) {
      FXQ_ASSIGN_OR_RETURN(const double slow, timed(floating));
      result.floating->latencies.add(slow);
      result.ratios.add(slow / fast);
    }
    if (interrupted()) return absl::CancelledError("interrupted");
  }
}

absl::Status warm_up(const Run& run, Measured& measured) {
  FXQ_ASSIGN_OR_RETURN(measured.first_ms, timed(run));
  for (int i = 0; i < 2; ++i) FXQ_RETURN_IF_ERROR(run());
  return absl::OkStatus();
}

absl::StatusOr<Result> measure_all(const BenchArguments& arguments) {
  Result result;
  result.shapes = arguments.shapes;
  if (result.shapes.empty()) {
    FXQ_ASSIGN_OR_RETURN(result.shapes, default_shapes(arguments));
  }
  const double start = now_ms();
  FXQ_ASSIGN_OR_RETURN(const std::unique_ptr<Executor> executor,
                       load_executor(arguments.model, {arguments.threads, arguments.profile,
                                                       arguments.allow_torchscript}));
  result.int8.load_ms = now_ms() - start;
  std::vector<InputSpec> specs;
  const Program& program = executor->program();
  for (ValueId id : program.inputs) {
    const Value& value = program.values[static_cast<size_t>(id)];
    specs.push_back({value.name, value.dtype});
  }
  FXQ_ASSIGN_OR_RETURN(const std::vector<NamedTensor> inputs, random_inputs(result.shapes, specs));
  const std::vector<HostTensor> tensors = to_host_tensors(inputs);
  const Run int8 = [&] { return executor->run(tensors).status(); };
  FXQ_RETURN_IF_ERROR(warm_up(int8, result.int8));
  result.rss_mib = peak_rss_mib();
  std::unique_ptr<FloatModel> float_model;
  Run floating;
  if (!arguments.compare.empty()) {
    result.floating.emplace();
    const double float_start = now_ms();
    FXQ_ASSIGN_OR_RETURN(float_model, FloatModel::load(arguments, to_values(inputs)));
    result.floating->load_ms = now_ms() - float_start;
    floating = [&] { return float_model->run(); };
    FXQ_RETURN_IF_ERROR(warm_up(floating, *result.floating));
  }
  FXQ_RETURN_IF_ERROR(measure(arguments, int8, floating, result));
  std::vector<std::vector<int64_t>> shapes;
  for (const HostTensor& tensor : tensors) shapes.push_back(tensor.dims());
  FXQ_ASSIGN_OR_RETURN(result.signature, executor->describe(shapes));
  result.steps = executor->profile();
  return result;
}

nlohmann::json measured_json(const Measured& measured) {
  return {{"load_ms", measured.load_ms},
          {"first_ms", measured.first_ms},
          {"latency_ms", measured.latencies.to_json()}};
}

nlohmann::json to_json(const BenchArguments& arguments, const Result& result) {
  nlohmann::json json = measured_json(result.int8);
  json["model"] = arguments.model;
  json["shapes"] = result.shapes;
  json["threads"] = arguments.threads;
  json["batch"] = arguments.batch;
  json["isa"] = std::string(isa_name(effective_isa()));
  json["rss_peak_mib"] = result.rss_mib;
  json["arena_bytes"] = result.signature.arena_bytes;
  json["packed_bytes"] = result.signature.packed_bytes;
  if (result.floating) {
    json["float"] = measured_json(*result.floating);
    json["speedup"] = result.ratios.to_json();
    json["speedup"]["of_minima"] = result.floating->latencies.min() / result.int8.latencies.min();
  }
  for (const StepProfile& step : result.steps) {
    json["steps"].push_back({{"name", step.name},
                             {"kernel", step.kernel},
                             {"implementation", step.implementation},
                             {"calls", step.calls},
                             {"ms", step.seconds * 1000.0},
                             {"min_ms", step.min_seconds * 1000.0}});
  }
  return json;
}

void print_steps(std::vector<StepProfile> steps) {
  double total = 0, minima = 0;
  for (const StepProfile& step : steps) {
    total += step.seconds;
    minima += step.min_seconds;
  }
  std::stable_sort(steps.begin(), steps.end(),
                   [](const auto& a, const auto& b) { return a.seconds > b.seconds; });
  Table table({{"step"},
               {"kernel"},
               {"implementation"},
               {"mean ms", Align::kRight},
               {"min ms", Align::kRight},
               {"share", Align::kRight}});
  for (const StepProfile& step : steps) {
    const double calls = static_cast<double>(std::max<int64_t>(step.calls, 1));
    table.add_row({step.name, step.kernel, step.implementation,
                   fmt::format("{:.4f}", step.seconds * 1000.0 / calls),
                   fmt::format("{:.4f}", step.min_seconds * 1000.0),
                   fmt::format("{:.1f}%", total > 0 ? 100.0 * step.seconds / total : 0.0)});
  }
  fmt::print("{}sum of the steps' minima: {:.3f} ms\n", table.render(), minima * 1000.0);
}

void print_result(const BenchArguments& arguments, const Result& result) {
  fmt::print("{}  {} thread(s)  {}\n", fmt::join(result.shapes, " "), arguments.threads,
             isa_name(effective_isa()));
  fmt::print("int8   {}\n", result.int8.latencies.to_string());
  if (result.floating) {
    fmt::print("float  {}\n", result.floating->latencies.to_string());
    fmt::print("int8 is {:.2f}x as fast (ratio of minima; median of pairs {:.2f}x)\n",
               result.floating->latencies.min() / result.int8.latencies.min(),
               result.ratios.percentile(50));
  }
  fmt::print(
      "load {:.1f} ms, first run {:.1f} ms, peak RSS {:.0f} MiB, arena {:.2f} MiB, weights "
      "packed {:.2f} MiB\n",
      result.int8.load_ms, result.int8.first_ms, result.rss_mib,
      static_cast<double>(result.signature.arena_bytes) / 1048576.0,
      static_cast<double>(result.signature.packed_bytes) / 1048576.0);
  if (arguments.profile) print_steps(result.steps);
}

absl::Status bench(const BenchArguments& arguments) {
  FXQ_ASSIGN_OR_RETURN(const ModelKind kind, model_kind(arguments.model));
  if (kind != ModelKind::kFxq) {
    return absl::InvalidArgumentError(
        arguments.model + ": bench runs a .fxq; quantize the .pt first, then --compare float");
  }
  FXQ_ASSIGN_OR_RETURN(const Result result, measure_all(arguments));
  if (arguments.json) {
    fmt::print("{}\n", to_json(arguments, result).dump(2));
  } else {
    print_result(arguments, result);
  }
  return absl::OkStatus();
}

}  // namespace

Command add_bench(CLI::App& root) {
  auto arguments = std::make_shared<BenchArguments>();
  CLI::App* app = root.add_subcommand("bench", "Measure latency, memory and load time");
  app->footer(
      "Examples:\n"
      "  fxq bench m.fxq --threads 2 --batch 8 --json\n"
      "  fxq bench m.fxq --compare float --profile");
  app->add_option("model", arguments->model, "A .fxq file")->required();
  app->add_option("--shape", arguments->shapes, "Input shape (default: as calibrated)");
  app->add_option("--batch", arguments->batch, "First dim of the default shapes (default 1)")
      ->check(positive_number());
  app->add_option("--threads", arguments->threads, "Threads (default 1)")
      ->check(CLI::Range(1, 1024));
  app->add_option("--compare", arguments->compare, "float: interleave the TorchScript model")
      ->check(CLI::IsMember({"float"}));
  app->add_option("--float", arguments->float_model,
                  "The float model (default: the .pt that was quantized)");
  app->add_option("--seconds", arguments->seconds, "How long to measure (default 3)")
      ->check(positive_number());
  app->add_option("--runs", arguments->runs, "So many runs instead")->check(positive_number());
  app->add_flag("--profile", arguments->profile, "Time per step");
  app->add_flag("--json", arguments->json, "Print JSON");
  app->add_flag("--allow-torchscript", arguments->allow_torchscript,
                "Run TorchScript code that the .fxq embeds");
  return {app, [arguments] { return bench(*arguments); }};
}

}  // namespace fxq
