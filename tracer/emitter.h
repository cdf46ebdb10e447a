// Emitter: turns calls on traced values into nodes. It canonicalises the op, makes in-place ops
// functional where that is exact and otherwise keeps them as effect nodes in order, tracks which
// values share memory, and stamps owner and source line. Borrows the GraphModule that it builds.
#pragma once

#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

#include "fxq/graph/graph_module.h"
#include "fxq/tracer/canonical/canonical.h"
#include "fxq/tracer/value.h"

namespace fxq {

// Where in the model's code a call stands.
struct Site {
  std::string source;  // "model.py:41"
  Owner owner;
};

class Emitter {
 public:
  explicit Emitter(GraphModule& gm) : gm_(gm) {}

  // Says whether code that is still to come reads the value; set by the reader.
  std::function<bool(const Value&)> used_later = [](const Value&) { return true; };
  // Inputs whose mutation nobody outside sees (tracing one leaf on its own).
  bool owns_inputs = false;
  Site site;

  GraphModule& graph_module() { return gm_; }
  Graph& graph() { return gm_.graph(); }

  ValuePtr placeholder(const std::string& name, const c10::TypePtr& type);
  // A module's tensor; the same value for the same path.
  ValuePtr attribute(const std::string& path, const at::Tensor& tensor);
  // One value per result; several results are getitems of one node.
  std::vector<ValuePtr> call(const c10::FunctionSchema& schema, std::vector<ValuePtr> args,
                             const std::vector<c10::TypePtr>& types);
  ValuePtr call(std::string_view target, std::vector<ValuePtr> args);  // one result
  ValuePtr call_module(const std::string& path, const std::vector<ValuePtr>& args,
                       const c10::TypePtr& type);
  ValuePtr getitem(const ValuePtr& container, int64_t index, const c10::TypePtr& type);
  void output(const ValuePtr& value);
  // The buffer is `value` from here on, whatever its size.
  void assign(const ValuePtr& buffer, const ValuePtr& value);
  void guard(const ValuePtr& condition, const std::string& message);

  // The value as a node's argument; constant tensors become get_attr nodes on first use.
  Argument argument(const ValuePtr& value);
  // Writing into the value can be said without writing: every tensor that shares its memory and is
  // read later is a view that can be made again.
  bool can_write_through(const ValuePtr& value) const;
  // Rebinds the cell to a new node; false where that is not exact (views, inputs, module tensors).
  bool can_rebind(const Value& value) const;
  void rebind(const ValuePtr& value, const ValuePtr& result);
  // All holders of the value see the node's from here on, whatever it was before.
  void become(const ValuePtr& value, const ValuePtr& result);
  // A known list or dict becomes one node.
  void make_unknown(const ValuePtr& container);

  at::Tensor known_tensor(const ValuePtr& value) const;
  // A tensor that stands in the code, no parameter or buffer; undefined if it is none.
  at::Tensor literal(const Node& node) const;

 private:
  ValuePtr stamp(Node* node, const c10::TypePtr& type);
  std::vector<ValuePtr> call_in_place(const c10::FunctionSchema& schema,
                                      const std::vector<ValuePtr>& args, size_t written,
                                      const std::vector<c10::TypePtr>& types);
  void reshape(const ValuePtr& target, const c10::FunctionSchema& functional,
               std::vector<ValuePtr> args, size_t written, const std::vector<c10::TypePtr>& types);
  void write_through(const ValuePtr& value, const ValuePtr& changed);
  std::vector<ValuePtr> emit(Call call, const std::vector<c10::TypePtr>& types);
  Node* make_node(const Call& call);
  void bind_constant(const ValuePtr& value);
  ValuePtr copy_container(const ValuePtr& container);
  void add_alias(const c10::FunctionSchema& schema, const std::vector<ValuePtr>& args,
                 const std::vector<ValuePtr>& results);

  GraphModule& gm_;
  std::unordered_map<std::string, ValuePtr> attributes_;
  std::unordered_map<const void*, std::string> constants_;  // path by tensor
};

// What TorchScript's static type says about a node's value.
Type node_type(const c10::TypePtr& type);

// "aten::add.Tensor"
std::string overload_name(const c10::FunctionSchema& schema);

// Drops calls that nobody uses and nobody would miss, and the tensors that only they named.
void remove_dead_nodes(GraphModule& gm);

}  // namespace fxq
