// QuantReport: what became of every op, and why: nothing is left in float silently. A plain value.
#pragma once

#include <string>
#include <vector>

namespace fxq {

class Node;

enum class OpMode : uint8_t { kInt8, kInt16, kFloat };
std::string_view op_mode_name(OpMode mode);  // "int8"

// "features.0": the module that a call is of, or is in.
std::string module_of(const Node& node);

struct OpStatus {
  std::string node;
  std::string op;      // "conv2d", "aten::special_i0e"
  std::string module;  // module_of
  OpMode mode = OpMode::kFloat;
  std::string code;    // "E001" (reason_codes.def); "" for integer ops, or "W107"
  std::string reason;  // "no integer kernel"
  std::string source;  // "model.py:41", "" if it is not known
};

struct QuantReport {
  std::vector<OpStatus> ops;       // program order; sizes, tuples and fake quants are not listed
  std::vector<std::string> notes;  // what prepare and convert did beyond the obvious

  int count(OpMode mode) const;
  // Ops that are computed in float here, whatever the march does: float ones and W107.
  std::vector<const OpStatus*> computed_in_float() const;
  const OpStatus* find(std::string_view node) const;  // nullptr if it is not listed
  // One line per op.
  std::string to_string() const;
};

}  // namespace fxq
