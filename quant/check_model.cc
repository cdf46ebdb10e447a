// float graph -> types -> fuse -> plan, as prepare does it, but nothing is an error: a table.
#include "fxq/quant/check_model.h"

#include <ATen/core/ivalue.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>

#include "fxq/base/status.h"
#include "fxq/graph/view.h"
#include "fxq/quant/fuse_fx.h"
#include "fxq/quant/macs.h"
#include "fxq/quant/op_support.h"
#include "fxq/quant/partition.h"
#include "fxq/quant/quant_plan.h"
#include "fxq/quant/reason_codes.h"
#include "fxq/quant/stage.h"
#include "fxq/tracer/shape_prop.h"

namespace fxq {
namespace {

std::string op_text(const Node& node) {
  std::string text = node.op() == OpId::kNone ? node.target() : std::string(op_def(node.op()).name);
  if (node.epilogue_add()) text += "+add";
  const OpId activation = node.epilogue_activation();
  if (activation != OpId::kNone) text += "+" + std::string(op_def(activation).name);
  return text;
}

class Checker {
 public:
  Checker(GraphModule& gm, March march) : gm_(gm) { report_.march = march; }

  absl::Status plan(const CheckOptions& options) {
    for (const std::string& note : gm_.notes) find("W101", note);
    const bool bpu = has_bpu(report_.march);
    QuantPlanOptions asked{report_.march, false, bpu, &options.hybrid_dict, /*only_report=*/true};
    FXQ_ASSIGN_OR_RETURN(const QuantPlan plan, plan_quantization(gm_, options.qconfigs, asked));
    if (bpu) mark_devices(gm_, plan);
    add_rows(plan.report);
    for (const std::string& note : plan.report.notes) add_note(note);
    for (const auto& [node, qconfig] : plan.integer_ops) check_weight(*node, *qconfig);
    if (wide_weights_ > 0 && bpu) {
      report_.why_not.push_back(fmt::format(
          "{} op(s) have weights of 16 bits, which no march runs (W103)", wide_weights_));
    }
    for (CheckRow& row : report_.rows) name_float_results(plan, row);
    size_by_integers(plan);
    return absl::OkStatus();
  }

  void add_rows(const QuantReport& plan) {
    for (const OpStatus& op : plan.ops) {
      const Node& node = *gm_.graph().find(op.node);
      CheckRow row;
      row.node = op.node;
      row.op = op_text(node);
      row.module = op.module;
      row.source = op.source;
      row.device = node.device.empty() ? kCpuDevice : node.device;
      row.dtype = op_mode_name(op.mode);
      row.code = op.code;
      row.reason = op.reason;
      row.macs = multiply_accumulates(gm_, node);
      const bool counts =
          has_bpu(report_.march) ? row.device == kBpuDevice : op.mode != OpMode::kFloat;
      if (!counts && has_unknown_macs(gm_, node)) ++report_.uncounted;
      report_.macs += row.macs;
      if (counts) report_.macs_on_bpu += row.macs;
      report_.rows.push_back(std::move(row));
    }
  }

  CheckReport finish() {
    find_shared_modules();
    if (published_march(report_.march) != report_.march) {
      find("W106",
           fmt::format("{} has no published op list; {}'s is used, provisionally",
                       march_name(report_.march), march_name(published_march(report_.march))));
    }
    if (has_bpu(report_.march)) {
      const Partitions partitions = partition(gm_);
      report_.partitions = partitions.to_string();
      find_small_segments(partitions);
    }
    judge();
    return std::move(report_);
  }

 private:
  void find(const char* code, const std::string& text, const std::string& node = "") {
    report_.findings.push_back({code, node, text});
  }

  void add_note(const std::string& note) {
    if (note.find("E013") == std::string::npos) return find("", note);
    report_.why_not.push_back(note);
  }

  void check_weight(const Node& node, const QConfig& qconfig) {
    const bool wide = qconfig.weight && is_weighted(node.op()) &&
                      qconfig.weight->options().observer_kwargs.dtype == DType::kI16;
    if (!wide) return;
    ++wide_weights_;
    find("W103", fmt::format("{} has weights of 16 bits", describe_call(node)), node.name());
  }

  void name_float_results(const QuantPlan& plan, CheckRow& row) const {
    const Node* node = gm_.graph().find(row.node);
    if (!plan.runs_in_integers(node) || plan.is_integer_value(node)) return;
    row.dtype += op_def(node->op()).rule == Rule::kAnswers ? "->index" : "->float";
  }

  // So that copies count the bytes of integers.
  void size_by_integers(const QuantPlan& plan) {
    for (const ScaleGroup& group : plan.groups) {
      for (Node* value : group.observed) value->type.dtype = group.dtype;
    }
    for (Node* node : gm_.graph().nodes()) {
      const std::vector<Node*> operands =
          node->is_call() ? value_operands(gm_, *node) : std::vector<Node*>{};
      const bool moved = plan.is_integer_value(node) && shares_operand(*node) && !operands.empty();
      if (moved && node->type.is_tensor()) node->type.dtype = operands[0]->type.dtype;
    }
  }

  void find_shared_modules() {
    std::map<std::string, std::vector<std::string>> calls;
    for (const Node* node : gm_.graph().nodes()) {
      if (is_weighted(node->op()) && node->is(NodeKind::kCallModule)) {
        calls[node->target()].push_back("%" + node->name());
      }
    }
    for (const auto& [path, names] : calls) {
      if (names.size() < 2) continue;
      find("W102",
           fmt::format("'{}' is called {} times: {}", path, names.size(), fmt::join(names, ", ")),
           path);
    }
  }

  void find_small_segments(const Partitions& partitions) {
    for (size_t i = 0; i < partitions.segments.size(); ++i) {
      const Segment& segment = partitions.segments[i];
      if (segment.device != kBpuDevice) continue;
      int64_t macs = 0;
      for (const Node* node : segment.nodes) macs += multiply_accumulates(gm_, *node);
      bool enters = false, leaves = false;
      for (const Boundary& boundary : partitions.boundaries) {
        enters |= boundary.to == static_cast<int>(i);
        leaves |= boundary.from == static_cast<int>(i);
      }
      if (macs > 0 || !enters || !leaves) continue;
      find("W104",
           fmt::format("segment {} (from %{}) has no multiplications and stands between "
                       "ops on the CPU",
                       i, segment.nodes[0]->name()),
           segment.nodes[0]->name());
    }
  }

  void judge() {
    std::map<std::string, int> codes;
    int outside = 0;
    for (const CheckRow& row : report_.rows) {
      const bool inside = has_bpu(report_.march) ? row.device == kBpuDevice : row.code.empty();
      if (inside) continue;
      ++outside;
      ++codes[row.code];
    }
    if (outside > 0) {
      std::vector<std::string> parts;
      for (const auto& [code, count] : codes) parts.push_back(fmt::format("{} x{}", code, count));
      report_.why_not.push_back(fmt::format(
          "{} of {} ops {} ({})", outside, report_.rows.size(),
          has_bpu(report_.march) ? "run on the CPU" : "run in float", fmt::join(parts, ", ")));
    }
    if (outside > 0 && has_bpu(report_.march)) {
      find("W105", "the model is hybrid: " + std::string(find_reason_code("W105")->explanation));
    }
    report_.passes = report_.why_not.empty();
  }

  GraphModule& gm_;
  CheckReport report_;
  int wide_weights_ = 0;
};

absl::StatusOr<GraphModule> typed_and_fused(const GraphModule& graph,
                                            const std::vector<c10::IValue>& inputs) {
  GraphModule typed = graph.copy();
  typed.eval();
  if (!inputs.empty()) FXQ_RETURN_IF_ERROR(propagate_shapes(typed, inputs));
  return fuse_fx(typed);
}

absl::Status check_same_march(const GraphModule& graph, March march) {
  FXQ_ASSIGN_OR_RETURN(const March prepared, march_of(graph));
  if (prepared == march) return absl::OkStatus();
  return absl::InvalidArgumentError(
      fmt::format("check_model: the model was prepared for {}, not for {}", march_name(prepared),
                  march_name(march)));
}

}  // namespace

CheckOptions::CheckOptions() { qconfigs.global = get_default_calib_qconfig().value(); }

absl::StatusOr<CheckReport> check_model(const GraphModule& graph, March march,
                                        const std::vector<c10::IValue>& inputs,
                                        const CheckOptions& options) {
  FXQ_RETURN_IF_ERROR(check_hybrid_request(!options.hybrid_dict.empty(), options.hybrid_dict, march,
                                           "check_model"));
  const bool is_float = require_stage(graph, "", "check_model").ok();
  if (!is_float) {
    FXQ_RETURN_IF_ERROR(check_same_march(graph, march));
    GraphModule copy = graph.copy();
    Checker checker(copy, march);
    checker.add_rows(report_of(copy));
    return checker.finish();
  }
  FXQ_ASSIGN_OR_RETURN(GraphModule fused, typed_and_fused(graph, inputs));
  Checker checker(fused, march);
  FXQ_RETURN_IF_ERROR(checker.plan(options));
  return checker.finish();
}

}  // namespace fxq
