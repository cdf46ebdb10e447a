// the file, optimisations off and on; the file cut into nodes     against     the graph's own run
#include "fxq/cli/validate_onnx.h"

#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/argmax.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <onnx/onnx_pb.h>

#include <cmath>
#include <limits>

#include "fxq/base/file.h"
#include "fxq/base/status.h"
#include "fxq/cli/feed.h"
#include "fxq/cli/onnx_runtime.h"
#include "fxq/export/cut_model.h"
#include "fxq/export/prepared_form.h"
#include "fxq/quant/compare.h"
#include "fxq/quant/reference_interpreter.h"
#include "fxq/runtime/isa.h"

namespace fxq {
namespace {

constexpr double kFloatLimit = 1e-5;
constexpr double kFloatFailure = 1e-3;  // float sums in another order do not come to that
constexpr double kMarginLimit = 15.0;   // dB

// What ONNX Runtime's documentation of session.x64quantprecision says; that option would avoid it,
// but 1.20 dies of it on files with Q and DQ.
constexpr const char* kSaturates =
    " (this CPU has no VNNI: ONNX Runtime's u8 x s8 kernels saturate sums of pairs at 16 bits)";

using Tensors = std::vector<at::Tensor>;

absl::StatusOr<Tensors> run_graph(const GraphModule& model,
                                  const std::vector<c10::IValue>& inputs) {
  const at::NoGradGuard no_grad;
  FXQ_ASSIGN_OR_RETURN(GraphModule copy, exportable_copy(model));
  copy.eval();
  std::vector<c10::IValue> clones;
  for (const c10::IValue& input : inputs) clones.push_back(input.deepcopy());
  GraphModule own = copy.copy(GraphModule::Copy::kCloneBuffers);
  FXQ_ASSIGN_OR_RETURN(const c10::IValue result, ReferenceInterpreter(own).run(std::move(clones)));
  return flatten_tensors(result);
}

double worst_sqnr(const Tensors& reference, const Tensors& test) {
  double worst = std::numeric_limits<double>::infinity();
  for (size_t i = 0; i < reference.size() && i < test.size(); ++i) {
    const auto sqnr = sqnr_db(reference[i].to(at::kDouble), test[i].to(at::kDouble));
    worst = std::min(worst, sqnr.value_or(-std::numeric_limits<double>::infinity()));
  }
  return worst;
}

double worst_difference(const Tensors& reference, const Tensors& test) {
  double worst = 0;
  for (size_t i = 0; i < reference.size(); ++i) {
    const auto difference =
        max_relative_difference(reference[i].to(at::kDouble), test[i].to(at::kDouble));
    worst = std::max(worst, difference.value_or(std::numeric_limits<double>::infinity()));
  }
  return worst;
}

bool same_sizes(const Tensors& reference, const Tensors& test) {
  if (reference.size() != test.size()) return false;
  for (size_t i = 0; i < reference.size(); ++i) {
    if (reference[i].sizes() != test[i].sizes()) return false;
  }
  return true;
}

// Of outputs that look like scores of classes.
std::string argmax_agreement(const Tensors& reference, const Tensors& test) {
  if (reference.size() != 1 || reference[0].dim() != 2 || reference[0].size(1) < 2) return "";
  const at::Tensor equal = at::argmax(reference[0], 1).eq(at::argmax(test[0], 1));
  return fmt::format(", argmax agrees on {} of {}", equal.sum().item<int64_t>(), equal.numel());
}

class Validation {
 public:
  Validation(const ValidationRequest& request, OnnxRuntime runtime)
      : request_(request), summary_(request.summary), runtime_(std::move(runtime)) {}

  absl::StatusOr<ValidationReport> run() {
    report_.was_run = true;
    report_.lines.push_back(
        fmt::format("run in ONNX Runtime {} ({})", runtime_.version, runtime_.python));
    FXQ_ASSIGN_OR_RETURN(reference_, run_graph(*request_.model, request_.inputs));
    FXQ_RETURN_IF_ERROR(plan_runs());
    const auto results = run_in(runtime_, runs_);
    if (!results.ok()) {
      report_.failures.push_back(std::string(results.status().message()));
      return std::move(report_);
    }
    const Tensors plain = in_order((*results)[0]), optimized = in_order((*results)[1]);
    if (!same_sizes(reference_, plain)) {
      report_.failures.push_back("the file's outputs have other sizes than the graph's");
      return std::move(report_);
    }
    if (!is_integer()) {
      judge_floats(plain);
    } else {
      if (results->size() > 2) judge_nodes((*results)[2]);
      FXQ_RETURN_IF_ERROR(judge_integers(plain));
    }
    describe_optimized(optimized);
    return std::move(report_);
  }

 private:
  bool is_integer() const { return summary_.is_quantized || summary_.is_prepared; }

  Tensors in_order(const TensorsByName& values) const {
    Tensors result;
    for (const auto& output : summary_.outputs) result.push_back(values.at(output.name));
    return result;
  }

  absl::Status plan_runs() {
    OnnxRun run{request_.path, {}, {}, false};
    Tensors inputs;
    for (const c10::IValue& input : request_.inputs) {
      if (input.isTensor()) inputs.push_back(input.toTensor().contiguous());
    }
    for (size_t i = 0; i < summary_.inputs.size() && i < inputs.size(); ++i) {
      run.inputs[summary_.inputs[i].name] = inputs[i];
    }
    for (const auto& output : summary_.outputs) run.outputs.push_back(output.name);
    runs_ = {run, run};
    runs_[1].optimize = true;
    return is_integer() ? plan_nodes(run) : absl::OkStatus();
  }

  absl::Status plan_nodes(OnnxRun run) {
    if (!summary_.external_data.empty()) {
      report_.lines.emplace_back("node by node: left out, the weights are in a second file");
      return absl::OkStatus();
    }
    FXQ_ASSIGN_OR_RETURN(const std::string bytes, read_file(request_.path));
    onnx::ModelProto proto;
    if (!proto.ParseFromString(bytes)) return absl::DataLossError(request_.path + ": no ONNX");
    FXQ_ASSIGN_OR_RETURN(integers_, file_integers(*request_.model, request_.inputs));
    const CutModel parts = cut_at_integers(proto, integers_);
    run.model = folder_.file("nodes.onnx");
    FXQ_RETURN_IF_ERROR(write_file_atomically(run.model, proto.SerializeAsString()));
    run.inputs.insert(parts.inputs.begin(), parts.inputs.end());
    run.outputs.clear();
    for (const std::string& node : parts.nodes) run.outputs.push_back(node + "_q");
    if (!parts.nodes.empty()) runs_.push_back(std::move(run));
    return absl::OkStatus();
  }

  void judge_floats(const Tensors& actual) {
    const double difference = worst_difference(reference_, actual);
    report_.lines.push_back(
        fmt::format("float: the largest difference is {:.1e} of the largest value{}", difference,
                    argmax_agreement(reference_, actual)));
    std::string text =
        fmt::format("float outputs differ by {:.1e} (limit {:.0e})", difference, kFloatLimit);
    if (difference > kFloatFailure || std::isnan(difference)) {
      report_.failures.push_back(std::move(text));
    } else if (difference > kFloatLimit) {
      report_.warnings.push_back(std::move(text));
    }
  }

  void judge_nodes(const TensorsByName& actual) {
    int64_t equal = 0, total = 0;
    int largest = 0;
    std::vector<std::string> far;
    for (const auto& [name, value] : actual) {
      const std::string node = name.substr(0, name.size() - 2);
      const at::Tensor steps = (integers_.at(node).to(at::kInt) - value.to(at::kInt)).abs();
      if (steps.numel() == 0) continue;
      const int most = steps.max().item<int>();
      largest = std::max(largest, most);
      if (most > 1) far.push_back(fmt::format("%{} by {}", node, most));
      equal += steps.eq(0).sum().item<int64_t>();
      total += steps.numel();
    }
    report_.lines.push_back(fmt::format(
        "node by node on the same inputs: {} nodes, {:.3f} % of the integers equal, the rest at "
        "most {} step(s) apart",
        actual.size(),
        total ? 100.0 * static_cast<double>(equal) / static_cast<double>(total) : 100, largest));
    if (far.empty()) return;
    const bool may_saturate = request_.format == QuantFormat::kQOperator && !has_vnni();
    const bool tolerated = request_.profile == ExportProfile::kOrt || may_saturate;
    auto& where = tolerated ? report_.warnings : report_.failures;
    where.push_back(fmt::format("nodes more than 1 step apart: {}{}", fmt::join(far, ", "),
                                may_saturate ? kSaturates : ""));
  }

  absl::Status judge_integers(const Tensors& actual) {
    const double sqnr = worst_sqnr(reference_, actual);
    std::string line = fmt::format("end to end: {:.1f} dB from the {} graph", sqnr,
                                   summary_.is_prepared ? "fake-quant" : "int8");
    if (!request_.float_model) {
      report_.lines.push_back(
          line + (summary_.is_quantized ? " (no float model here to compare with)" : ""));
      return absl::OkStatus();
    }
    FXQ_ASSIGN_OR_RETURN(const Tensors floats, run_graph(*request_.float_model, request_.inputs));
    const double own = worst_sqnr(floats, reference_);
    report_.lines.push_back(line + fmt::format(", which is {:.1f} dB from float{}", own,
                                               argmax_agreement(reference_, actual)));
    if (sqnr - own < kMarginLimit) {
      report_.warnings.push_back(fmt::format(
          "{:.1f} dB is less than {} dB more than int8's own {:.1f}: {}", sqnr, kMarginLimit, own,
          request_.profile == ExportProfile::kOrt
              ? "profile ort rounds in front of adds"
              : "in a deep net one value beside a rounding tie spreads, in untrained ones most"));
    }
    return absl::OkStatus();
  }

  void describe_optimized(const Tensors& actual) {
    if (!is_integer()) {
      report_.lines.push_back(fmt::format("with ONNX Runtime's optimisations: {:.1e}",
                                          worst_difference(reference_, actual)));
      return;
    }
    const double sqnr = worst_sqnr(reference_, actual);
    const bool may_saturate = !has_vnni() && std::isfinite(sqnr);
    report_.lines.push_back(fmt::format("with ONNX Runtime's optimisations: {:.1f} dB{}{}", sqnr,
                                        argmax_agreement(reference_, actual),
                                        may_saturate ? kSaturates : ""));
  }

  const ValidationRequest& request_;
  const ExportSummary& summary_;
  const OnnxRuntime runtime_;
  const ScratchFolder folder_;
  ValidationReport report_;
  Tensors reference_;
  std::vector<OnnxRun> runs_;
  std::map<std::string, at::Tensor> integers_;
};

// The first elements again at the end.
at::Tensor grown(const at::Tensor& tensor, int64_t axis, int64_t by) {
  const at::Tensor index =
      at::arange(tensor.size(axis) + by, at::kLong).remainder(tensor.size(axis));
  return tensor.index_select(axis, index).contiguous();
}

std::vector<std::string> shapes_with(const ExportSummary& summary, int64_t size) {
  std::vector<std::string> shapes;
  for (const auto& input : summary.inputs) {
    std::vector<int64_t> sizes = input.sizes;
    for (size_t axis = 0; axis < sizes.size(); ++axis) {
      if (sizes[axis] < 0) sizes[axis] = axis == 0 ? 2 : size;
    }
    shapes.push_back(fmt::format("{}={}:{}", input.name, fmt::join(sizes, "x"), input.dtype));
  }
  return shapes;
}

}  // namespace

absl::StatusOr<ValidationReport> validate_onnx(const ValidationRequest& request) {
  ValidationReport report;
  if (!request.summary.fallthrough.empty()) {
    report.warnings.emplace_back("not run: ONNX Runtime lacks the operators that are listed above");
    return report;
  }
  const auto runtime = find_onnx_runtime();
  if (!runtime) {
    report.warnings.emplace_back(
        "not run: no Python with onnxruntime found (FXQ_PYTHON, venv beside the program, python3 "
        "on PATH)");
    return report;
  }
  return Validation(request, *runtime).run();
}

std::vector<c10::IValue> with_other_sizes(const ValidationRequest& request) {
  for (const int64_t step : {1, 2, 32}) {
    std::vector<c10::IValue> inputs;
    bool differs = false;
    size_t place = 0;
    for (const c10::IValue& input : request.inputs) {
      if (!input.isTensor() || place >= request.summary.inputs.size()) {
        inputs.push_back(input);
        continue;
      }
      const std::vector<int64_t>& declared = request.summary.inputs[place++].sizes;
      at::Tensor tensor = input.toTensor();
      for (size_t axis = 0; axis < declared.size(); ++axis) {
        if (declared[axis] >= 0 || tensor.size(static_cast<int64_t>(axis)) == 0) continue;
        tensor = grown(tensor, static_cast<int64_t>(axis), axis == 0 ? 1 : step);
        differs = true;
      }
      inputs.emplace_back(tensor);
    }
    if (!differs) return {};
    if (run_graph(*request.model, inputs).ok()) return inputs;
  }
  return {};
}

absl::StatusOr<std::vector<c10::IValue>> inputs_for(const GraphModule& model,
                                                    const ExportSummary& summary) {
  std::vector<std::string> names;
  for (const auto& input : summary.inputs) names.push_back(input.name);
  absl::Status reason;
  for (const int64_t size : {224, 64, 48, 32, 28, 24, 12, 8, 299, 512}) {
    FXQ_ASSIGN_OR_RETURN(const std::vector<NamedTensor> tensors,
                         random_inputs(shapes_with(summary, size), input_specs(names)));
    std::vector<c10::IValue> inputs = to_values(tensors);
    const auto result = run_graph(model, inputs);
    if (result.ok()) return inputs;
    reason = result.status();
  }
  return reason;
}

}  // namespace fxq
