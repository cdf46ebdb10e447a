// OpView: the one way to read a call, whatever its kind. nn.Conv2d, F.conv2d, nn.ReLU, F.relu and
// x.relu() look the same through it: operands (activations), params and attributes by the names of
// the canonical schema. Patterns, quantization rules, lowering and export use only this.
// A view borrows graph and node and is cheap to make.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "fxq/graph/graph_module.h"

namespace fxq {

class OpView {
 public:
  OpView(const GraphModule& gm, const Node* node);

  const Node* node() const { return node_; }
  OpId op() const { return node_->op(); }
  const OpDef& def() const { return op_def(op()); }

  // Activations, in schema order; the members of a Tensor[] argument count each. The epilogue's
  // addend is not among them (Node::epilogue_add). Constant operands (a get_attr that is no
  // parameter of the op) are included.
  const std::vector<Node*>& operands() const { return operands_; }
  Node* operand(size_t i) const { return i < operands_.size() ? operands_[i] : nullptr; }

  // The tensor behind a parameter ("weight"): the module's, or the get_attr's; undefined if it is
  // none or computed by a node (then param_node says which).
  at::Tensor param(std::string_view name) const;
  // Its sizes, known even of a weight that still waits to be multiplied out; none if undefined.
  std::optional<std::vector<int64_t>> param_sizes(std::string_view name) const;
  Node* param_node(std::string_view name) const;  // nullptr if it is no argument of the call
  bool has_param(std::string_view name) const;

  // An attribute by schema name, the schema's default if it was not given. none if unknown.
  Argument attr(std::string_view name) const;
  bool attr_is_default(std::string_view name) const;
  std::vector<std::string> attr_names() const;  // all schema arguments that are no tensors

  // Typed readers; a value of another kind gives `fallback`. Scalars broadcast: int -> {int, ...}.
  int64_t attr_int(std::string_view name, int64_t fallback = 0) const;
  double attr_float(std::string_view name, double fallback = 0) const;
  bool attr_bool(std::string_view name, bool fallback = false) const;
  std::string attr_string(std::string_view name, std::string fallback = "") const;
  std::vector<int64_t> attr_ints(std::string_view name, std::vector<int64_t> fallback = {}) const;

 private:
  const Argument* argument(std::string_view name) const;
  Node* passed_to_module(std::string_view name) const;

  const GraphModule& gm_;
  const Node* node_;
  const OpModule* module_;
  std::vector<Node*> operands_;
};

}  // namespace fxq
