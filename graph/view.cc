// call_module conv(%x) and call_function conv2d(%x, %w, ...) -> operand "input", param "weight",
// attribute "stride".
#include "fxq/graph/view.h"

#include <ATen/core/function_schema.h>

#include <algorithm>

#include "fxq/base/check.h"
#include "fxq/graph/ivalue_convert.h"
#include "fxq/graph/naming.h"
#include "fxq/graph/op_module.h"

namespace fxq {
namespace {

bool is_tensor_like(const c10::TypePtr& type) {
  switch (type->kind()) {
    case c10::TypeKind::TensorType:
      return true;
    case c10::TypeKind::ListType:
      return is_tensor_like(type->expectRef<c10::ListType>().getElementType());
    case c10::TypeKind::OptionalType:
      return is_tensor_like(type->expectRef<c10::OptionalType>().getElementType());
    default:
      return false;
  }
}

bool contains(const std::vector<std::string_view>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

void append_nodes(const Argument& argument, std::vector<Node*>& nodes) {
  argument.for_each_node([&](Node* node) { nodes.push_back(node); });
}

}  // namespace

OpView::OpView(const GraphModule& gm, const Node* node)
    : gm_(gm), node_(node), module_(gm.op_module(*node)) {
  if (node->is(NodeKind::kCallFunction) && node->schema()) {
    const auto& arguments = node->schema()->arguments();
    for (size_t i = 0; i < arguments.size(); ++i) {
      const std::string& name = arguments[i].name();
      const bool own = is_own(*node->schema());
      if (contains(def().params, name) || !(own || is_tensor_like(arguments[i].type()))) continue;
      const Argument* value = argument(name);
      if (value) append_nodes(*value, operands_);
    }
  } else {
    for (const Argument& argument : node->args()) append_nodes(argument, operands_);
  }
}

const Argument* OpView::argument(std::string_view name) const {
  if (const Argument* named = node_->kwarg(name)) return named;
  if (module_) return module_->attribute(name);
  if (!node_->schema()) return nullptr;
  const auto& arguments = node_->schema()->arguments();
  for (size_t i = 0; i < arguments.size() && i < node_->args().size(); ++i) {
    if (arguments[i].name() == name) return &node_->args()[i];
  }
  return nullptr;
}

at::Tensor OpView::param(std::string_view name) const {
  if (module_ && module_->tensor(name).defined()) return module_->tensor(name);
  const Node* node = param_node(name);
  return node && node->is(NodeKind::kGetAttr) ? gm_.tensor(node->target()) : at::Tensor();
}

std::optional<std::vector<int64_t>> OpView::param_sizes(std::string_view name) const {
  if (module_ && module_->has_tensor(name)) return module_->tensor_sizes(name);
  const at::Tensor tensor = param(name);
  if (!tensor.defined()) return std::nullopt;
  return tensor.sizes().vec();
}

Node* OpView::param_node(std::string_view name) const {
  if (module_) return passed_to_module(name);
  const Argument* value = argument(name);
  return value ? value->node() : nullptr;
}

// A module takes the arguments that it lacks from the call, in the schema's order.
Node* OpView::passed_to_module(std::string_view name) const {
  size_t passed = 0;
  for (const c10::Argument& formal : node_->schema()->arguments()) {
    const bool own = module_->attribute(formal.name()) || is_mode_argument(formal.name()) ||
                     module_->names_tensor(formal.name());
    if (own) continue;
    if (passed >= node_->args().size()) return nullptr;
    if (formal.name() == name) return node_->args()[passed].node();
    ++passed;
  }
  return nullptr;
}

bool OpView::has_param(std::string_view name) const {
  if (module_ && module_->has_tensor(name)) return true;
  return param(name).defined() || param_node(name) != nullptr;
}

Argument OpView::attr(std::string_view name) const {
  if (const Argument* value = argument(name)) return *value;
  if (!node_->schema()) return {};
  for (const c10::Argument& candidate : node_->schema()->arguments()) {
    if (candidate.name() != name || !candidate.default_value()) continue;
    return to_argument(*candidate.default_value()).value_or(Argument());
  }
  return {};
}

bool OpView::attr_is_default(std::string_view name) const {
  const Argument* value = argument(name);
  if (!value) return true;
  if (!node_->schema()) return false;
  for (const c10::Argument& candidate : node_->schema()->arguments()) {
    if (candidate.name() != name) continue;
    if (!candidate.default_value() || !value->is_constant()) return false;
    const auto standard = to_argument(*candidate.default_value());
    return standard && to_argument(to_ivalue_as(*value, candidate.type())) == standard;
  }
  return false;
}

std::vector<std::string> OpView::attr_names() const {
  std::vector<std::string> names;
  if (!node_->schema()) return names;
  for (const c10::Argument& candidate : node_->schema()->arguments()) {
    if (is_tensor_like(candidate.type()) || contains(def().params, candidate.name())) continue;
    names.push_back(candidate.name());
  }
  return names;
}

int64_t OpView::attr_int(std::string_view name, int64_t fallback) const {
  const Argument value = attr(name);
  if (const auto* integer = value.get_if<int64_t>()) return *integer;
  if (const auto* flag = value.get_if<bool>()) return *flag ? 1 : 0;
  return fallback;
}

double OpView::attr_float(std::string_view name, double fallback) const {
  const Argument value = attr(name);
  if (const auto* real = value.get_if<double>()) return *real;
  if (const auto* integer = value.get_if<int64_t>()) return static_cast<double>(*integer);
  return fallback;
}

bool OpView::attr_bool(std::string_view name, bool fallback) const {
  const Argument value = attr(name);
  if (const auto* flag = value.get_if<bool>()) return *flag;
  if (const auto* integer = value.get_if<int64_t>()) return *integer != 0;
  return fallback;
}

std::string OpView::attr_string(std::string_view name, std::string fallback) const {
  const Argument value = attr(name);
  const auto* text = value.get_if<std::string>();
  return text ? *text : fallback;
}

std::vector<int64_t> OpView::attr_ints(std::string_view name, std::vector<int64_t> fallback) const {
  const Argument value = attr(name);
  if (const auto* integer = value.get_if<int64_t>()) return {*integer};
  const std::vector<Argument>* items = value.items();
  if (!items) return fallback;
  std::vector<int64_t> result;
  for (const Argument& item : *items) {
    const auto* integer = item.get_if<int64_t>();
    if (!integer) return fallback;
    result.push_back(*integer);
  }
  return result;
}

}  // namespace fxq
