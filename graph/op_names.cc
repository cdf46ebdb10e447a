// aten::add.Tensor <-> add, if the table has a row; aten::add.out <-> aten::add.out, if it has
// none.
#include "fxq/graph/op_names.h"

#include <fmt/format.h>
#include <torch/csrc/jit/runtime/operator.h>

#include "fxq/base/nearest.h"

namespace fxq {
namespace {

bool is_qualified(std::string_view name) { return name.find("::") != std::string_view::npos; }

const OpDef* row(std::string_view name) {
  const OpId op = op_from_name(name);
  return op == OpId::kNone || op_def(op).overloads.empty() ? nullptr : &op_def(op);
}

std::vector<std::string> registered_names() {
  std::vector<std::string> names;
  for (const auto& op : torch::jit::getAllOperators()) {
    const c10::FunctionSchema& schema = op->schema();
    names.push_back(schema.overload_name().empty() ? schema.name()
                                                   : schema.name() + "." + schema.overload_name());
  }
  return names;
}

}  // namespace

Callee find_op(std::string_view name) {
  if (is_qualified(name)) return find_callee(name);
  const OpDef* def = row(name);
  return def ? Callee{def->id, canonical_schema(def->id)} : Callee{};
}

std::string target_of(std::string_view name) {
  const OpDef* def = is_qualified(name) ? nullptr : row(name);
  return std::string(def ? def->overloads[0] : name);
}

std::string name_of(std::string_view target) {
  const OpId op = op_from_overload(target);
  const bool canonical = op != OpId::kNone && op_def(op).overloads[0] == target;
  return std::string(canonical ? op_def(op).name : target);
}

bool is_row_name(std::string_view name) { return row(name) != nullptr; }

std::vector<std::string> op_names() {
  std::vector<std::string> names;
  for (const OpDef& def : op_table()) {
    if (!def.overloads.empty()) names.emplace_back(def.name);
  }
  return names;
}

std::string unknown_op(std::string_view name) {
  const OpDef* def = is_qualified(name) ? nullptr : row(name);
  if (def && !def->overloads.empty()) {
    return fmt::format(
        "op '{}' is {} of a library that is not loaded (fxq: --load-library; "
        "load_operator_library)",
        name, def->overloads[0]);
  }
  const std::vector<std::string> known = is_qualified(name) ? registered_names() : op_names();
  return fmt::format("unknown op '{}': {}", name, did_you_mean(name, known));
}

}  // namespace fxq
