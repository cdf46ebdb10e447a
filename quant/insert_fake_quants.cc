// The part that calibration and training share: which values get a FakeQuantize, and where.
#include "fxq/quant/insert_fake_quants.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "fxq/base/status.h"
#include "fxq/graph/problems.h"
#include "fxq/graph/verifier.h"
#include "fxq/graph/view.h"
#include "fxq/quant/eager.h"
#include "fxq/quant/op_support.h"
#include "fxq/quant/provenance.h"
#include "fxq/quant/quant_op_module.h"
#include "fxq/quant/quant_plan.h"
#include "fxq/quant/stage.h"

namespace fxq {
namespace {

FakeQuantizeFactory standard_weight(bool calibration) {
  FakeQuantizeOptions options;
  options.observer = "MovingAveragePerChannelMinMaxObserver";
  options.calibration = calibration;
  options.observer_kwargs.averaging_constant = 1.0;
  return FakeQuantizeFactory(options);
}

// Their scales need no data: the first run, or convert_fx, finds them.
absl::Status quantize_weights(GraphModule& gm, const QuantPlan& plan, bool calibration) {
  const FakeQuantizeFactory standard = standard_weight(calibration);
  Problems problems;
  for (const Node* node : gm.graph().nodes()) {
    const OpModule* op = gm.op_module(*node);
    const bool done = dynamic_cast<const QuantOpModule*>(op) != nullptr;
    if (!op || done || !is_weighted(node->op()) || !plan.runs_in_integers(node)) continue;
    const QConfig& qconfig = *plan.integer_ops.at(node);
    const auto module = make_quant_op_module(*op, qconfig.weight.value_or(standard));
    if (!module.ok()) {
      problems.add(
          fmt::format("  {}: {}", describe_call(*node), std::string(module.status().message())));
      continue;
    }
    (*module)->train(op->is_training());
    gm.set_module(node->target(), *module);
  }
  return problems.status(absl::StatusCode::kInvalidArgument, "weights can't be quantized so:");
}

Node* last_placeholder(const Graph& graph) { return graph.placeholders().back(); }

// Fixed-scale stubs (camera input) need no observer.
absl::Status apply_fixed_scale(const GraphModule& gm, const Node& value, FakeQuantize& fake_quant) {
  if (value.op() != OpId::kQuantStub) return absl::OkStatus();
  const double scale = OpView(gm, &value).attr_float("scale", 0.0);
  return scale == 0.0 ? absl::OkStatus() : fake_quant.set_qparams(scale);
}

absl::Status insert_fake_quant(GraphModule& gm, const QuantPlan& plan, Node* value,
                               const std::string& path) {
  std::vector<Node*> users(value->users().begin(), value->users().end());
  const Node* place = value->is(NodeKind::kPlaceholder) ? last_placeholder(gm.graph()) : value;
  const InsertionPoint point(gm.graph(), place->next());
  Node* fake_quant = gm.call_module(path, {Argument(value)}, {}, value->name() + "_fq");
  fake_quant->type = value->type;
  fake_quant->owner = value->owner;
  fake_quant->source = value->source;
  const bool is_integer = plan.is_integer_value(value);
  for (Node* user : users) {
    // A float value stays as it is for its float readers.
    if (!is_integer && !plan.runs_in_integers(user)) continue;
    gm.graph().replace_input(user, value, fake_quant);
  }
  return absl::OkStatus();
}

// Why a fake quant must not write into `value`; "" if it may.
std::string keeps_value(const QuantPlan& plan, const Node& value) {
  if (!value.is_call()) return fmt::format("%{} is the caller's", value.name());
  if (plan.is_integer_value(&value)) return "";  // everybody reads the fake quant
  for (const Node* user : value.users()) {
    if (!plan.runs_in_integers(user)) {
      return fmt::format("%{} reads the float value too", user->name());
    }
  }
  return fmt::format("%{} is made by a float op, whose result may be part of another",
                     value.name());
}

// The qconfig's activation for this group: quint8 has a range of its own; in_place is only for
// values that nobody else holds.
absl::StatusOr<FakeQuantizeFactory> factory_for(QuantPlan& plan, const ScaleGroup& group) {
  const FakeQuantizeOptions& options = group.qconfig->activation->options();
  QKwargs kwargs;
  if (group.dtype != options.observer_kwargs.dtype) {
    kwargs = {
        {"dtype", std::string(qdtype_name(group.dtype))}, {"quant_min", {}}, {"quant_max", {}}};
  }
  for (const Node* value : group.observed) {
    const std::string reason = options.in_place ? keeps_value(plan, *value) : "";
    if (reason.empty()) continue;
    kwargs.emplace_back("in_place", false);
    plan.report.notes.push_back(
        fmt::format("in_place is ignored at %{}: {}", value->name(), reason));
    break;
  }
  return group.qconfig->activation->with_args(kwargs);
}

absl::Status insert_group(GraphModule& gm, QuantPlan& plan, const ScaleGroup& group) {
  FXQ_ASSIGN_OR_RETURN(const auto factory, factory_for(plan, group));
  FXQ_ASSIGN_OR_RETURN(const auto module, factory());
  const std::string path = gm.unique_path(group.observed[0]->name() + "_fq");
  gm.set_module(path, module);
  for (Node* value : group.observed) {
    FXQ_RETURN_IF_ERROR(apply_fixed_scale(gm, *value, *module));
    FXQ_RETURN_IF_ERROR(insert_fake_quant(gm, plan, value, path));
  }
  return absl::OkStatus();
}

// A model says where quantization starts with QuantStubs, or not at all.
absl::Status check_stubs(const GraphModule& gm, QuantPlan& plan, const PrepareOptions& options) {
  const bool has_stubs = !gm.graph().find_all(OpId::kQuantStub).empty();
  std::vector<std::string> inputs;
  for (const ScaleGroup& group : plan.groups) {
    for (const Node* value : group.observed) {
      if (value->is(NodeKind::kPlaceholder)) inputs.push_back("%" + value->name());
    }
  }
  if (inputs.empty()) return absl::OkStatus();
  const std::string list = fmt::format("{}", fmt::join(inputs, ", "));
  if (has_stubs || !options.auto_stubs) {
    return absl::InvalidArgumentError(
        fmt::format("{} feed integer ops without a QuantStub; put one behind each input{}", list,
                    has_stubs ? "" : ", or set auto_stubs"));
  }
  plan.report.notes.push_back(fmt::format("no QuantStub in the model: quantized at {}", list));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ObservedGraphModule> insert_fake_quants(GraphModule gm,
                                                       const QConfigDict& qconfig_dict,
                                                       const PrepareOptions& options,
                                                       FakeQuantState state) {
  const bool calibration = state == FakeQuantState::CALIBRATION;
  gm.eval();  // which ops have integer kernels is a matter of inference
  QConfigDict qconfigs = qconfig_dict;
  FXQ_ASSIGN_OR_RETURN(const QConfigDict::Entries own, qconfigs_of(gm));
  qconfigs.module_qconfig.insert(qconfigs.module_qconfig.end(), own.begin(), own.end());
  FXQ_ASSIGN_OR_RETURN(QuantPlan plan, plan_quantization(gm, qconfigs,
                                                         {options.march, options.optimize_graph,
                                                          options.hybrid, &options.hybrid_dict}));
  FXQ_RETURN_IF_ERROR(check_stubs(gm, plan, options));
  FXQ_RETURN_IF_ERROR(quantize_weights(gm, plan, calibration));
  for (const ScaleGroup& group : plan.groups) {
    FXQ_RETURN_IF_ERROR(insert_group(gm, plan, group));
  }
  place_on_devices(gm, plan, options.march, options.hybrid);
  gm.settings[kStageSetting] = kStageObserved;
  gm.settings[kMarchSetting] = std::string(march_name(options.march));
  store_config(qconfig_dict, gm);
  store_float_ops(plan.report, gm);
  gm.train(state == FakeQuantState::QAT);
  FXQ_RETURN_IF_ERROR(verify(gm));
  ObservedGraphModule observed(std::move(gm), std::move(plan.report));
  FXQ_RETURN_IF_ERROR(set_fake_quantize(observed, state));
  return observed;
}

}  // namespace fxq
