// Interpreter: runs a graph node by node. The graph is compiled once to slots, prebuilt constants
// and last uses, so that activations die early and nothing is looked up while running. Derive from
// it and override run_node to observe, replace or time values (ShapeProp, calibration, the
// reference integer graph).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "fxq/graph/graph_module.h"

namespace fxq {

class Interpreter {
 public:
  // The module must outlive the interpreter and not be edited meanwhile.
  explicit Interpreter(const GraphModule& gm);
  virtual ~Interpreter();

  // One input per placeholder, in order.
  absl::StatusOr<c10::IValue> run(std::vector<c10::IValue> inputs);

  const GraphModule& graph_module() const { return gm_; }

 protected:
  // Computes a call node from its evaluated args and kwargs (in the node's order; module tensors
  // are not among them). The default calls module or operator and applies the epilogue.
  // May throw c10::Error; run() turns that into a Status that names the node.
  virtual absl::StatusOr<c10::IValue> run_node(const Node& node, std::vector<c10::IValue> args,
                                               std::vector<c10::IValue> kwargs);
  // Called for placeholders and get_attr too, after the value is known; may replace it.
  virtual absl::Status on_value(const Node& node, c10::IValue& value);

 private:
  struct Plan;
  const GraphModule& gm_;
  std::unique_ptr<Plan> plan_;
};

// Calls an operator by schema with all arguments in schema order, missing ones by default.
absl::StatusOr<c10::IValue> call_schema(const c10::FunctionSchema& schema,
                                        std::vector<c10::IValue> arguments);

// A constant argument as an IValue (lists become typed lists as `schema_type` wants; null: guess).
c10::IValue to_ivalue(const Argument& argument);

}  // namespace fxq
