// f(script module, ...) = f(trace(script module), ...)
#include "fxq/quant/eager_script.h"

#include <ATen/core/function_schema.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/csrc/jit/api/module.h>

#include "fxq/base/status.h"

namespace fxq {
namespace {

std::vector<std::string> strings(Names names) { return {names.begin(), names.end()}; }

// What identities pass on: a FloatFunctional's add has one behind it, where an observer would be.
const Node* behind_identities(const Node* node) {
  while (node && node->op() == OpId::kIdentity && !node->args().empty()) {
    node = node->args()[0].node();
  }
  return node;
}

// The call that a graph is, of all its inputs in their order; null if it is more or less than one.
const Node* whole_call(const Graph& graph) {
  const Node* result = graph.output_node()->args()[0].node();
  const Node* call = behind_identities(result);
  if (call && !call->is_call()) call = result;  // an nn.Identity
  const auto inputs = graph.placeholders();
  if (!call || !call->is_call() || !call->kwargs().empty()) return nullptr;
  if (call->args().size() != inputs.size()) return nullptr;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (behind_identities(call->args()[i].node()) != inputs[i]) return nullptr;
  }
  for (const Node* node : graph.nodes()) {
    if (node != call && node->is_call() && node->op() != OpId::kIdentity) return nullptr;
  }
  return call;
}

absl::Status no_single_call(const torch::jit::Module& module, const Graph& graph) {
  std::vector<std::string> calls;
  for (const Node* node : graph.nodes()) {
    if (node->is_call()) calls.push_back(fmt::format("{} ({})", node->name(), node->target()));
  }
  return absl::InvalidArgumentError(fmt::format(
      "fuse_known_modules wants modules of one op each, or a FloatFunctional that adds; {} calls "
      "{}; give its parts one by one",
      module.type()->name()->qualifiedName(),
      calls.empty() ? "nothing" : fmt::format("{}", fmt::join(calls, ", "))));
}

// One module called by another, so that the tracer sees it as a leaf.
absl::StatusOr<std::shared_ptr<LeafModule>> capture(const torch::jit::Module& module) {
  torch::jit::Module caller("fxq_caller");
  caller.register_module("m", module);
  caller.register_attribute("training", c10::BoolType::get(),
                            module.hasattr("training") && module.is_training());
  const bool adds = !module.find_method("forward") || module.find_method("add");
  try {
    caller.define(adds ? "def forward(self, x, y):\n  return self.m.add(x, y)\n"
                       : "def forward(self, x):\n  return self.m.forward(x)\n");
  } catch (const std::exception& error) {
    return absl::InvalidArgumentError(
        fmt::format("fuse_known_modules: a module takes no single tensor: {}", error.what()));
  }
  FXQ_ASSIGN_OR_RETURN(const GraphModule gm, trace(caller));
  const Node* call = whole_call(gm.graph());
  if (call && call->is(NodeKind::kCallModule)) return gm.module(call->target());
  // A FloatFunctional's add is a function of the graph.
  if (call && call->is(NodeKind::kCallFunction) && call->op() != OpId::kNone) {
    return std::make_shared<OpModule>(call->owner.class_name, call->op(), NamedTensors{},
                                      NamedAttributes{});
  }
  return no_single_call(module, gm.graph());
}

absl::StatusOr<GraphModule> traced(const torch::jit::Module& model,
                                   const QConfigDict::Entries& qconfigs,
                                   const TraceOptions& trace_options) {
  FXQ_ASSIGN_OR_RETURN(GraphModule gm, trace(model, trace_options));
  for (const auto& [path, qconfig] : qconfigs) {
    FXQ_RETURN_IF_ERROR(set_qconfig(gm, path, qconfig));
  }
  return gm;
}

}  // namespace

absl::StatusOr<GraphModule> fuse_modules(const torch::jit::Module& model,
                                         const std::vector<std::vector<std::string>>& lists,
                                         const FuseModulesOptions& options,
                                         const TraceOptions& trace_options) {
  FXQ_ASSIGN_OR_RETURN(GraphModule gm, trace(model, trace_options));
  FXQ_RETURN_IF_ERROR(fuse_modules_inplace(gm, lists, options));
  return gm;
}

absl::StatusOr<GraphModule> fuse_modules(const torch::jit::Module& model,
                                         const std::vector<std::string>& modules_to_fuse,
                                         const FuseModulesOptions& options,
                                         const TraceOptions& trace_options) {
  return fuse_modules(model, std::vector<std::vector<std::string>>{modules_to_fuse}, options,
                      trace_options);
}

absl::StatusOr<GraphModule> fuse_modules(const torch::jit::Module& model, Names modules_to_fuse,
                                         const FuseModulesOptions& options,
                                         const TraceOptions& trace_options) {
  return fuse_modules(model, strings(modules_to_fuse), options, trace_options);
}

absl::StatusOr<GraphModule> fuse_modules(const torch::jit::Module& model,
                                         std::initializer_list<Names> lists,
                                         const FuseModulesOptions& options,
                                         const TraceOptions& trace_options) {
  std::vector<std::vector<std::string>> all;
  for (const Names& list : lists) all.push_back(strings(list));
  return fuse_modules(model, all, options, trace_options);
}

absl::StatusOr<ModuleList> fuse_known_modules(
    const std::vector<torch::jit::Module>& mod_list,
    const FuserMethodMapping& additional_fuser_method_mapping) {
  ModuleList captured;
  for (const torch::jit::Module& module : mod_list) {
    FXQ_ASSIGN_OR_RETURN(captured.emplace_back(), capture(module));
  }
  return fuse_known_modules(captured, additional_fuser_method_mapping);
}

absl::StatusOr<ObservedGraphModule> prepare_calibration(const torch::jit::Module& model,
                                                        const QConfigDict::Entries& qconfigs,
                                                        const EagerOptions& options,
                                                        const TraceOptions& trace_options) {
  FXQ_ASSIGN_OR_RETURN(const GraphModule gm, traced(model, qconfigs, trace_options));
  return prepare_calibration(gm, options);
}

absl::StatusOr<ObservedGraphModule> prepare_qat(const torch::jit::Module& model,
                                                const QConfigDict::Entries& qconfigs,
                                                const EagerOptions& options,
                                                const TraceOptions& trace_options) {
  FXQ_ASSIGN_OR_RETURN(const GraphModule gm, traced(model, qconfigs, trace_options));
  return prepare_qat(gm, options);
}

absl::StatusOr<GraphModule> convert(const torch::jit::Module& module,
                                    const EagerConvertOptions& options,
                                    const TraceOptions& trace_options) {
  if (options.mapping.empty()) {
    return absl::FailedPreconditionError(
        "convert: a TorchScript module is not prepared; call prepare_calibration or prepare_qat "
        "first, or give a mapping of modules to swap");
  }
  FXQ_ASSIGN_OR_RETURN(GraphModule gm, trace(module, trace_options));
  FXQ_RETURN_IF_ERROR(swap_modules(gm, options.mapping));
  return gm;
}

}  // namespace fxq
