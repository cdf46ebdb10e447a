// ReferenceInterpreter: runs a converted graph. Nodes that take or give integers run on the
// reference kernels, the definition of the integer graph; all others run as float.
#pragma once

#include "fxq/graph/interpreter.h"

namespace fxq {

class ReferenceInterpreter : public Interpreter {
 public:
  using Interpreter::Interpreter;

 protected:
  absl::StatusOr<c10::IValue> run_node(const Node& node, std::vector<c10::IValue> args,
                                       std::vector<c10::IValue> kwargs) override;
};

// True if the type is quantized, or one of its elements is.
bool holds_integers(const Type& type);

}  // namespace fxq
