// Lowering: a Program under construction and what each node became in it. The functions that
// lower one kernel family (family.h) write through this.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/status/status.h"
#include "fxq/graph/view.h"
#include "fxq/runtime/program.h"

namespace fxq {

// An attribute of a step: numbers, or the register that holds them once shapes are known.
struct IntsAttr {
  std::vector<int64_t> known;
  ValueId computed = kNoValue;

  bool empty() const { return known.empty() && computed == kNoValue; }
  void put(Step& step, const std::string& name) const;
};

class Lowering {
 public:
  explicit Lowering(const GraphModule& gm) : gm_(gm) {}

  const GraphModule& graph_module() const { return gm_; }
  Program& program() { return program_; }
  const Program& program() const { return program_; }

  // What a node became: a value, or a tree of values for lists, tuples and dicts.
  void set(const Node* node, OutputTree tree) { lowered_[node] = std::move(tree); }
  const OutputTree& tree(const Node* node) const { return lowered_.at(node); }
  // The node's one value. InvalidArgument if it is a tree.
  absl::StatusOr<ValueId> value(const Node* node) const;

  // A new tensor value of the node's type, named `name` or as the node.
  ValueId tensor_value(const Type& type, std::string name);
  ValueId register_value(ValueKind kind, std::string name);
  // A constant, under `name` made unique; one constant per tensor object.
  absl::StatusOr<ValueId> constant(const std::string& name, const at::Tensor& tensor);

  // Adds a step for `node`; its outputs are the caller's to make.
  Step& step(std::string kernel, const Node& node, std::vector<ValueId> inputs,
             std::vector<ValueId> outputs);
  // A step with one output: the node's value.
  Step& node_step(std::string kernel, const Node& node, std::vector<ValueId> inputs);

  // An int, or a list of ints, constant or not, as a register.
  absl::StatusOr<ValueId> int_input(const Node& node, const Argument& argument);
  // An argument of ints; a single one counts for all of `axes` axes, if that is given.
  absl::StatusOr<IntsAttr> ints_attr(const OpView& view, std::string_view name, size_t axes = 0,
                                     std::vector<int64_t> otherwise = {});
  // A register that holds a constant.
  absl::StatusOr<ValueId> scalar(const Node& node, Attr contents, ValueKind kind);

 private:
  const GraphModule& gm_;
  Program program_;
  std::unordered_map<const Node*, OutputTree> lowered_;
  struct Constant;
  std::map<const void*, std::shared_ptr<Constant>> constants_;  // keeps the tensors alive
};

// s_a / s_b in double, rounded once.
double scale_ratio(const Type& a, const Type& b);
// "u8" of a quantized type.
std::string dtype_text(const Type& type);
// Writes activation and clip_hi of the node's epilogue.
void add_activation(Step& step, const Node& node);

// What a program refuses of models that remember.
absl::Status keeps_state();

}  // namespace fxq
