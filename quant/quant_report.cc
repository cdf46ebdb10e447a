// One line per op that is not plain integer: node, mode, reason.
#include "fxq/quant/quant_report.h"

#include <fmt/format.h>

#include <algorithm>

#include "fxq/graph/node.h"

namespace fxq {

std::string module_of(const Node& node) {
  return node.is(NodeKind::kCallModule) ? node.target() : node.owner.path;
}

std::string_view op_mode_name(OpMode mode) {
  switch (mode) {
    case OpMode::kInt8:
      return "int8";
    case OpMode::kInt16:
      return "int16";
    case OpMode::kFloat:
      break;
  }
  return "float";
}

int QuantReport::count(OpMode mode) const {
  return static_cast<int>(
      std::count_if(ops.begin(), ops.end(), [&](const OpStatus& op) { return op.mode == mode; }));
}

std::vector<const OpStatus*> QuantReport::computed_in_float() const {
  std::vector<const OpStatus*> found;
  for (const OpStatus& op : ops) {
    if (op.mode == OpMode::kFloat || op.code == "W107") found.push_back(&op);
  }
  return found;
}

const OpStatus* QuantReport::find(std::string_view node) const {
  for (const OpStatus& op : ops) {
    if (op.node == node) return &op;
  }
  return nullptr;
}

std::string QuantReport::to_string() const {
  std::string text;
  for (const OpStatus& op : ops) {
    text += fmt::format("%{} {} {}", op.node, op.op, op_mode_name(op.mode));
    if (!op.code.empty()) text += fmt::format(" {} {}", op.code, op.reason);
    text += '\n';
  }
  for (const std::string& note : notes) text += fmt::format("note: {}\n", note);
  return text;
}

}  // namespace fxq
