// %k = get_attr @k (0-d)      %y = mul(%x, %k)    ->    %y = mul_scalar(%x, 0.5)
// Exact: a tensor of no dimensions takes part in arithmetic as the number that it holds.
#include <ATen/core/Tensor.h>
#include <ATen/core/function_schema.h>

#include "fxq/base/status.h"
#include "fxq/passes/cleanup.h"
#include "fxq/passes/effects.h"

namespace fxq {
namespace {

// "aten::mul.Tensor" -> the row of "aten::mul.Scalar"; kNone if there is none.
OpId scalar_form(OpId op) {
  const OpDef& def = op_def(op);
  if (def.overloads.empty()) return OpId::kNone;
  const std::string name(def.overloads[0]);
  const size_t dot = name.rfind('.');
  if (dot == std::string::npos || name.substr(dot) != ".Tensor") return OpId::kNone;
  return op_from_overload(name.substr(0, dot) + ".Scalar");
}

// The number of a 0-d float tensor of the module's.
std::optional<double> number_of(const GraphModule& gm, const Argument& argument) {
  const Node* node = argument.node();
  if (!node || !node->is(NodeKind::kGetAttr)) return std::nullopt;
  const at::Tensor tensor = gm.tensor(node->target());
  if (!tensor.defined() || tensor.dim() != 0 || !tensor.is_floating_point()) return std::nullopt;
  return tensor.item<double>();
}

bool is_spread_tensor(const Argument& argument) {
  const Node* node = argument.node();
  return node && node->type.rank() > 0 && node->type.dtype == DType::kF32;
}

absl::StatusOr<bool> rewrite(GraphModule& gm, Node* node) {
  const OpId op = node->is(NodeKind::kCallFunction) ? scalar_form(node->op()) : OpId::kNone;
  if (op == OpId::kNone || node->args().size() != 2 || !node->kwargs().empty()) return false;
  std::vector<Argument> args = node->args();
  if (op_def(node->op()).commutes && number_of(gm, args[0])) std::swap(args[0], args[1]);
  const std::optional<double> number = number_of(gm, args[1]);
  if (!number || !is_spread_tensor(args[0])) return false;
  const InsertionPoint here(gm.graph(), node);
  Node* made = gm.graph().call_op(op, {args[0], Argument(*number)});
  made->type = node->type;
  made->owner = node->owner;
  made->source = node->source;
  gm.graph().replace_all_uses(node, made);
  gm.graph().take_name(made, node);
  FXQ_RETURN_IF_ERROR(gm.graph().erase(node));
  return true;
}

}  // namespace

absl::StatusOr<bool> scalar_parameters(GraphModule& gm) {
  if (!barriers(gm.graph()).empty()) return false;
  const auto nodes = gm.graph().nodes();
  bool changed = false;
  for (Node* node : std::vector<Node*>(nodes.begin(), nodes.end())) {
    FXQ_ASSIGN_OR_RETURN(const bool one, rewrite(gm, node));
    changed |= one;
  }
  if (changed) FXQ_RETURN_IF_ERROR(dce(gm).status());
  return changed;
}

}  // namespace fxq
