// setting "module_qconfig": the entries of set_qconfig as JSON (qconfig_json.h)
#include "fxq/quant/eager.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <set>

#include "fxq/base/nearest.h"
#include "fxq/base/status.h"
#include "fxq/passes/pipeline.h"
#include "fxq/quant/float_calls.h"
#include "fxq/quant/hybrid.h"
#include "fxq/quant/insert_fake_quants.h"
#include "fxq/quant/qconfig_json.h"
#include "fxq/quant/quant_plan.h"
#include "fxq/quant/stage.h"

namespace fxq {
namespace {

std::string shown(const Node& node) {
  const std::string op(node.op() == OpId::kNone ? node.target() : op_def(node.op()).name);
  const std::string text = fmt::format("%{} ({})", node.name(), op);
  return node.source.empty() ? text : text + " at " + node.source;
}

// In a hybrid model the eager functions insert nothing between a float op and a quantized one:
// there the user puts a QuantStub.
absl::Status check_stubs_are_there(const GraphModule& model, const EagerOptions& options,
                                   const std::string& function) {
  GraphModule gm = model.copy();
  gm.eval();
  QConfigDict qconfigs;
  FXQ_ASSIGN_OR_RETURN(qconfigs.module_qconfig, qconfigs_of(gm));
  const HybridDict none;
  FXQ_ASSIGN_OR_RETURN(
      const QuantPlan plan,
      plan_quantization(gm, qconfigs, {options.march, options.optimize_graph, true, &none}));
  std::vector<std::string> missing;
  for (const ScaleGroup& group : plan.groups) {
    for (const Node* value : group.observed) {
      if (plan.is_integer_value(value) || producer_of(value)->op() == OpId::kQuantStub) continue;
      for (const Node* user : value->users()) {
        if (plan.runs_in_integers(user)) {
          missing.push_back(fmt::format("{} reads {}", shown(*user), shown(*value)));
        }
      }
    }
  }
  if (missing.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      fmt::format("{}: quantized ops are fed by float values without a QuantStub:\n  {}\nPut a "
                  "QuantStub between them; only prepare_calibration_fx and prepare_qat_fx do so "
                  "themselves",
                  function, fmt::join(missing, "\n  ")));
}

absl::StatusOr<ObservedGraphModule> prepare(const GraphModule& model, const EagerOptions& options,
                                            const std::string& function, FakeQuantState state) {
  FXQ_RETURN_IF_ERROR(require_stage(model, "", function));
  FXQ_RETURN_IF_ERROR(check_hybrid_request(options.hybrid, {}, options.march, function));
  FXQ_ASSIGN_OR_RETURN(const QConfigDict::Entries entries, qconfigs_of(model));
  if (entries.empty()) {
    return absl::FailedPreconditionError(
        function + ": no module has a qconfig; call set_qconfig(model, \"\", qconfig) first");
  }
  const bool trains = state == FakeQuantState::QAT;
  const auto copy = trains ? GraphModule::Copy::kCloneAll : GraphModule::Copy::kCloneBuffers;
  GraphModule own = model.copy(options.inplace ? GraphModule::Copy::kShareTensors : copy);
  FXQ_RETURN_IF_ERROR(swap_modules(own, options.mapping));
  // Not fusion: weights of functional calls find their modules.
  FXQ_ASSIGN_OR_RETURN(Pipeline pipeline, Pipeline::parse("modularize, remove_identity"));
  const FloatCalls calls(own);
  FXQ_RETURN_IF_ERROR(pipeline.run(own).status());
  calls.store(own);
  PrepareOptions prepare;
  prepare.optimize_graph = options.optimize_graph;
  prepare.march = options.march;
  prepare.hybrid = options.hybrid;
  if (options.hybrid) FXQ_RETURN_IF_ERROR(check_stubs_are_there(own, options, function));
  return insert_fake_quants(std::move(own), {}, prepare, state);
}

}  // namespace

absl::Status swap_modules(GraphModule& gm, const ModuleMapping& mapping) {
  for (const std::string& path : gm.module_paths()) {
    const std::shared_ptr<LeafModule> from = gm.module(path);
    const std::string& name = from->class_name();
    auto swap = mapping.find(name);
    if (swap == mapping.end()) swap = mapping.find(name.substr(name.rfind('.') + 1));
    if (swap == mapping.end()) continue;
    auto made = swap->second(*from);
    if (!made.ok() || !*made) {
      return absl::Status(
          made.ok() ? absl::StatusCode::kInvalidArgument : made.status().code(),
          fmt::format("the mapping of {} at '{}': {}", name, path,
                      made.ok() ? "it gave none" : std::string(made.status().message())));
    }
    (*made)->train(from->is_training());
    gm.set_module(path, *made);
    for (Node* node : gm.graph().nodes()) {
      if (!node->is(NodeKind::kCallModule) || node->target() != path) continue;
      gm.graph().set_target(node, path, (*made)->callee());
    }
  }
  return absl::OkStatus();
}

absl::Status set_qconfig(GraphModule& model, const std::string& path,
                         const std::optional<QConfig>& qconfig) {
  const std::set<std::string> known = FloatCalls(model).paths();
  if (!path.empty() && known.count(path) == 0) {
    return absl::NotFoundError(
        fmt::format("set_qconfig: there is no module '{}'; {}", path,
                    did_you_mean(path, std::vector<std::string>(known.begin(), known.end()))));
  }
  FXQ_ASSIGN_OR_RETURN(QConfigDict::Entries entries, qconfigs_of(model));
  QConfigDict dict;
  for (auto& [name, entry] : entries) {
    if (name != path) dict.module_qconfig.emplace_back(name, std::move(entry));
  }
  dict.module_qconfig.emplace_back(path, qconfig);
  model.settings[kModuleQConfigSetting] = to_json(dict);
  return absl::OkStatus();
}

absl::StatusOr<QConfigDict::Entries> qconfigs_of(const GraphModule& model) {
  const auto setting = model.settings.find(kModuleQConfigSetting);
  if (setting == model.settings.end()) return QConfigDict::Entries();
  const auto dict = qconfig_dict_from_json(setting->second);
  if (dict.ok()) return dict->module_qconfig;
  return absl::DataLossError("the model's setting module_qconfig: " +
                             std::string(dict.status().message()));
}

absl::StatusOr<ObservedGraphModule> prepare_calibration(const GraphModule& model,
                                                        const EagerOptions& options) {
  return prepare(model, options, "prepare_calibration", FakeQuantState::CALIBRATION);
}

absl::StatusOr<ObservedGraphModule> prepare_qat(const GraphModule& model,
                                                const EagerOptions& options) {
  return prepare(model, options, "prepare_qat", FakeQuantState::QAT);
}

absl::StatusOr<QuantizedGraph> convert(const ObservedGraphModule& module,
                                       const EagerConvertOptions& options) {
  GraphModule own = module.graph_module().copy();
  FXQ_RETURN_IF_ERROR(swap_modules(own, options.mapping));
  ConvertOptions convert;
  convert.remove_qconfig = options.remove_qconfig;
  convert.allow_uncalibrated = options.allow_uncalibrated;
  return convert_fx(ObservedGraphModule(std::move(own), module.report), convert);
}

}  // namespace fxq
