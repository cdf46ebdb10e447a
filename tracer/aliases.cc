// Reads alias annotations: add_.Tensor(Tensor(a!) self, ...) writes argument 0; view(Tensor(a)
// self, ...)
// -> Tensor(a) returns a view of argument 0.
#include "fxq/tracer/aliases.h"

#include <ATen/core/function_schema.h>

#include <unordered_set>

#include "fxq/graph/graph.h"

namespace fxq {

std::optional<size_t> written_argument(const c10::FunctionSchema& schema) {
  for (size_t i = 0; i < schema.arguments().size(); ++i) {
    const c10::AliasInfo* alias = schema.arguments()[i].alias_info();
    if (alias && alias->isWrite()) return i;
  }
  return std::nullopt;
}

bool returns_written(const c10::FunctionSchema& schema) {
  if (schema.returns().empty()) return false;
  const c10::AliasInfo* result = schema.returns()[0].alias_info();
  return result && result->isWrite();
}

const c10::FunctionSchema* functional_form(const c10::FunctionSchema& schema) {
  std::string name = schema.name();
  if (name.back() != '_' || name.size() < 2 || name[name.size() - 2] == '_') return nullptr;
  name.pop_back();
  if (!schema.overload_name().empty()) name += "." + schema.overload_name();
  const c10::FunctionSchema* functional = find_callee(name).schema;
  // transpose_ has no overloads, transpose.int is one.
  if (!functional && schema.overload_name().empty()) functional = find_callee(name + ".int").schema;
  if (!functional || functional->arguments().size() != schema.arguments().size()) return nullptr;
  const std::optional<size_t> written = written_argument(schema);  // input, where it reads, self
  for (size_t i = 0; i < schema.arguments().size(); ++i) {
    const bool same = functional->arguments()[i].name() == schema.arguments()[i].name();
    if (!same && i != written) return nullptr;
  }
  return written_argument(*functional) ? nullptr : functional;
}

namespace {

// Ops that return their input itself in some cases although their schema does not say so.
bool may_return_input(const std::string& name) {
  static const auto* names =
      new std::unordered_set<std::string>{"aten::dropout",         "aten::feature_dropout",
                                          "aten::alpha_dropout",   "aten::type_as",
                                          "aten::einsum",          "aten::broadcast_tensors",
                                          "aten::_convert_weight", "aten::feature_alpha_dropout",
                                          "fxq::identity"};
  return names->count(name) != 0;
}

}  // namespace

bool gives_view(const c10::FunctionSchema& schema) {
  const c10::AliasInfo* result =
      schema.returns().size() == 1 ? schema.returns()[0].alias_info() : nullptr;
  return result && !result->isWrite();
}

std::optional<size_t> aliased_argument(const c10::FunctionSchema& schema, size_t index) {
  if (may_return_input(schema.name())) return 0;
  if (index >= schema.returns().size()) return std::nullopt;
  const c10::AliasInfo* result = schema.returns()[index].alias_info();
  if (!result) return std::nullopt;
  for (size_t i = 0; i < schema.arguments().size(); ++i) {
    const c10::AliasInfo* argument = schema.arguments()[i].alias_info();
    if (!argument) continue;
    for (const c10::Symbol& set : result->beforeSets()) {
      if (argument->beforeSets().count(set) || argument->afterSets().count(set)) return i;
    }
  }
  return 0;
}

}  // namespace fxq
