// Callees by name, and purity, from LibTorch's own schemas.
#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/csrc/jit/frontend/function_schema_parser.h>
#include <torch/csrc/jit/runtime/operator.h>

#include <mutex>

#include "fxq/graph/graph.h"

namespace fxq {
namespace {

c10::OperatorName operator_name(std::string_view target) {
  const size_t dot = target.find('.', target.find("::"));
  const bool has_overload = dot != std::string_view::npos;
  return {std::string(target.substr(0, dot)),
          has_overload ? std::string(target.substr(dot + 1)) : std::string()};
}

const c10::FunctionSchema* find_registered(std::string_view target) {
  const c10::OperatorName name = operator_name(target);
  if (auto handle = c10::Dispatcher::singleton().findSchema(name)) return &handle->schema();
  const auto symbol = c10::Symbol::fromQualString(name.name);
  for (const auto& op : torch::jit::getAllOperatorsFor(symbol)) {
    if (op->schema().overload_name() == name.overload_name) return &op->schema();
  }
  return nullptr;
}

// fxq's own ops are declared in the op table, not registered with LibTorch.
const c10::FunctionSchema* own_schema(const OpDef& def) {
  static auto* mutex = new std::mutex;
  static auto* schemas = new std::unordered_map<OpId, std::unique_ptr<c10::FunctionSchema>>;
  std::lock_guard<std::mutex> lock(*mutex);
  auto& schema = (*schemas)[def.id];
  if (!schema) {
    schema =
        std::make_unique<c10::FunctionSchema>(torch::jit::parseSchema(std::string(def.schema)));
  }
  return schema.get();
}

bool mutates(const c10::FunctionSchema& schema) {
  for (const c10::Argument& argument : schema.arguments()) {
    if (argument.alias_info() && argument.alias_info()->isWrite()) return true;
  }
  return false;
}

bool draws_random_numbers(const c10::FunctionSchema& schema) {
  const auto handle = c10::Dispatcher::singleton().findSchema(schema.operator_name());
  return handle && handle->hasTag(at::Tag::nondeterministic_seeded);
}

// A question about its argument, such as prim::dtype: TorchScript's own analysis trusts the schema.
bool is_pure_prim(const c10::FunctionSchema& schema) {
  if (schema.is_vararg() || schema.arguments().empty() || schema.returns().empty()) return false;
  const auto symbol = c10::Symbol::fromQualString(schema.name());
  for (const auto& op : torch::jit::getAllOperatorsFor(symbol)) {
    if (op->schema().overload_name() != schema.overload_name()) continue;
    return op->aliasAnalysisKind() == c10::AliasAnalysisKind::FROM_SCHEMA;
  }
  return false;
}

bool is_known_space(const c10::FunctionSchema& schema) {
  const std::string space = schema.name().substr(0, schema.name().find("::"));
  if (space == "prim") return is_pure_prim(schema);
  if (space == "aten" || space == "fxq") return true;
  const std::string overload = schema.overload_name();
  return op_from_overload(overload.empty() ? schema.name() : schema.name() + "." + overload) !=
         OpId::kNone;
}

}  // namespace

Callee find_callee(std::string_view target) {
  const OpId op = op_from_overload(target);
  if (op != OpId::kNone && op_def(op).overloads[0] == target) return {op, canonical_schema(op)};
  if (target.find("::") == std::string_view::npos) return {op, nullptr};
  return {op, find_registered(target)};
}

bool is_own(const c10::FunctionSchema& schema) { return schema.name().rfind("fxq::", 0) == 0; }

const c10::FunctionSchema* canonical_schema(OpId op) {
  const OpDef& def = op_def(op);
  if (!def.schema.empty()) return own_schema(def);
  return def.overloads.empty() ? nullptr : find_registered(def.overloads[0]);
}

bool is_impure(const Node& node) {
  if (node.is(NodeKind::kPlaceholder) || node.is(NodeKind::kOutput)) return true;
  if (node.is(NodeKind::kGetAttr)) return false;
  const c10::FunctionSchema* schema = node.schema();
  if (!schema) return true;
  const bool says_nothing = schema->returns().empty();  // it is called for what else it does
  return says_nothing || !is_known_space(*schema) || mutates(*schema) ||
         draws_random_numbers(*schema);
}

}  // namespace fxq
