//   %w = get_attr @fc_weight            module @linear = linear(weight, bias)
//   %b = get_attr @fc_bias          ->  %y = linear @linear(%x)
//   %y = linear(%x, %w, %b)
// The same for a module that gets its weight from the call (weight_norm, once folded).
// Any op whose row has parameters; all of them must be attributes (or none). Tensors are shared, so
// what was tied stays tied.
#include <ATen/core/Tensor.h>

#include <algorithm>

#include "fxq/base/status.h"
#include "fxq/graph/naming.h"
#include "fxq/graph/op_module.h"
#include "fxq/graph/view.h"
#include "fxq/passes/cleanup.h"

namespace fxq {
namespace {

bool can_be_module(const GraphModule& gm, const Node& node) {
  if (op_def(node.op()).params.empty()) return false;
  if (!node.is(NodeKind::kCallFunction) && !gm.op_module(node)) return false;
  const OpView view(gm, &node);
  bool has_params = false;
  for (std::string_view name : view.def().params) {
    const Node* param = view.param_node(name);
    if (!param) continue;
    if (!param->is(NodeKind::kGetAttr) || !view.param(name).defined()) return false;
    has_params = true;
  }
  for (const std::string& name : view.attr_names()) {
    if (!view.attr(name).is_constant()) return false;
  }
  return has_params;
}

bool is_param(const OpView& view, const Node* operand) {
  const auto& params = view.def().params;
  return std::any_of(params.begin(), params.end(),
                     [&](std::string_view name) { return view.param_node(name) == operand; });
}

bool is_mode(const Node& node, const std::string& attribute) {
  return node.follows_mode && is_mode_argument(attribute);
}

std::shared_ptr<OpModule> make_module(const GraphModule& gm, const Node& node) {
  const OpView view(gm, &node);
  NamedTensors tensors;
  for (std::string_view name : view.def().params) {
    tensors.emplace_back(std::string(name), view.param(name));
  }
  NamedAttributes attributes;
  for (const std::string& name : view.attr_names()) {
    if (!is_mode(node, name)) attributes.emplace_back(name, view.attr(name));
  }
  const auto& types = view.def().module_types;
  auto module = std::make_shared<OpModule>(std::string(types.empty() ? view.def().name : types[0]),
                                           node.op(), std::move(tensors), std::move(attributes));
  module->train(gm.is_training());
  return module;
}

// A module keeps its path, unless other calls pass it other weights.
bool is_only_call(const GraphModule& gm, const Node& node) {
  const auto& nodes = gm.graph().nodes();
  return std::none_of(nodes.begin(), nodes.end(), [&](const Node* other) {
    return other != &node && other->is(NodeKind::kCallModule) && other->target() == node.target();
  });
}

std::string path_for(const GraphModule& gm, const Node& node) {
  if (node.is(NodeKind::kCallModule) && is_only_call(gm, node)) return node.target();
  const std::string name(op_def(node.op()).name);
  return gm.unique_path(node.owner.path.empty() ? name : node.owner.path + "." + name);
}

void replace_by_module_call(GraphModule& gm, Node* node) {
  const std::string path = path_for(gm, *node);
  std::vector<Argument> args;
  const OpView view(gm, node);
  for (Node* operand : view.operands()) {
    if (!is_param(view, operand)) args.emplace_back(operand);
  }
  gm.set_module(path, make_module(gm, *node));
  Kwargs kwargs;
  for (std::string_view key : {kEpilogueAdd, kEpilogueActivation}) {
    if (const Argument* value = node->kwarg(key)) kwargs.emplace_back(std::string(key), *value);
  }
  const InsertionPoint here(gm.graph(), node);
  Node* call = gm.call_module(path, std::move(args), std::move(kwargs));
  gm.graph().replace_all_uses(node, call);
  gm.graph().take_name(call, node);
  call->type = node->type;
  call->owner = node->owner;
  call->source = node->source;
  call->origins = node->origins;
  call->device = node->device;
}

}  // namespace

absl::StatusOr<bool> modularize(GraphModule& gm) {
  bool changed = false;
  for (Node* node : gm.graph().nodes()) {
    if (!can_be_module(gm, *node)) continue;
    replace_by_module_call(gm, node);
    const std::vector<Node*> inputs(node->inputs().begin(), node->inputs().end());
    FXQ_RETURN_IF_ERROR(gm.graph().erase(node));
    for (Node* input : inputs) {
      if (input->is(NodeKind::kGetAttr) && input->users().empty()) {
        FXQ_RETURN_IF_ERROR(gm.graph().erase(input));
      }
    }
    changed = true;
  }
  if (changed) gm.remove_unused();
  return changed;
}

}  // namespace fxq
