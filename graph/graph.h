// Graph: a doubly linked list of nodes in program order, with exact uses, unique names and an index
// by op. It owns its nodes. Building and editing follow torch.fx; edits that would break the graph
// return a Status and change nothing.
#pragma once

#include <cstddef>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "fxq/graph/node.h"

namespace fxq {

class Graph;

// Restores the graph's previous insertion point when it goes out of scope.
class InsertionPoint {
 public:
  InsertionPoint(Graph& graph, Node* before);
  static InsertionPoint after(Node* node);  // torch.fx's inserting_after
  ~InsertionPoint();
  InsertionPoint(const InsertionPoint&) = delete;
  InsertionPoint& operator=(const InsertionPoint&) = delete;

 private:
  Graph& graph_;
  Node* saved_;
};

class Graph {
 public:
  Graph();
  ~Graph();
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;

  // -- iteration in program order; erasing the current node while iterating is allowed
  class Iterator {
   public:
    using iterator_category = std::forward_iterator_tag;
    using value_type = Node*;
    using difference_type = std::ptrdiff_t;
    using pointer = Node**;
    using reference = Node*;
    explicit Iterator(Node* node) : node_(node), next_(node ? node->next() : nullptr) {}
    Node* operator*() const { return node_; }
    Iterator& operator++() {
      node_ = next_;
      next_ = node_ ? node_->next() : nullptr;
      return *this;
    }
    bool operator!=(const Iterator& other) const { return node_ != other.node_; }
    bool operator==(const Iterator& other) const { return node_ == other.node_; }

   private:
    Node* node_;
    Node* next_;
  };
  struct Range {
    Node* first;
    Iterator begin() const { return Iterator(first); }
    Iterator end() const { return Iterator(nullptr); }
  };
  Range nodes() const { return {first_}; }
  size_t size() const { return by_name_.size(); }
  Node* first() const { return first_; }
  Node* last() const { return last_; }

  Node* find(std::string_view name) const;     // nullptr if there is none
  std::vector<Node*> find_all(OpId op) const;  // all calls of an op now, in creation order
  std::vector<Node*> placeholders() const;
  Node* output_node() const;  // nullptr while there is none

  // -- building, at the insertion point (default: the end). `name_hint` is made unique by fx's
  // rules.
  Node* placeholder(std::string_view name, Type type = {});
  Node* get_attr(std::string_view path, std::string_view name_hint = "");
  // `target` is "aten::add.Tensor", "fxq::quantize", ...; its op and schema are looked up.
  Node* call_function(std::string_view target, std::vector<Argument> args, Kwargs kwargs = {},
                      std::string_view name_hint = "");
  // Calls a row's canonical schema.
  Node* call_op(OpId op, std::vector<Argument> args, Kwargs kwargs = {},
                std::string_view name_hint = "");
  // Prefer GraphModule::call_module, which knows the callee.
  Node* call_module(std::string_view path, Callee callee, std::vector<Argument> args,
                    Kwargs kwargs = {}, std::string_view name_hint = "");
  Node* call_method(std::string_view method, std::vector<Argument> args, Kwargs kwargs = {},
                    std::string_view name_hint = "");
  Node* output(Argument value);
  // Copies a node of any graph (name, type and all facts too); its arguments go through `map`.
  Node* node_copy(const Node* node, const std::function<Argument(Node*)>& map);

  Node* insertion_point() const { return before_; }  // nodes are put before this; nullptr: the end

  // -- editing
  void set_args(Node* node, std::vector<Argument> args);
  void set_arg(Node* node, size_t index, Argument value);  // appends if index is one past the end
  void set_kwargs(Node* node, Kwargs kwargs);
  void set_kwarg(Node* node, std::string_view key, Argument value);     // none removes it
  void set_target(Node* node, std::string_view target, Callee callee);  // of a call
  void replace_input(Node* node, Node* from, Node* to);
  // Every user of `from` (but `except`) uses `to` instead. Returns the changed users.
  std::vector<Node*> replace_all_uses(Node* from, Node* to, const Node* except = nullptr);
  void move_before(Node* node, Node* position);  // nullptr: to the end
  void move_after(Node* node, Node* position);
  absl::Status erase(Node* node);  // fails while the node has users
  // Gives `node` the name of `dead`, which takes a new one: a fused node keeps the last member's.
  void take_name(Node* node, Node* dead);
  void rename(Node* node, std::string_view name);  // made unique

  // torch.fx's graph_copy: copies the nodes of `other` but its output to the insertion point and
  // returns what that output would return here; none if there is none. `values` says what
  // placeholders (or any other nodes) of `other` stand for here; placeholders that it lacks are
  // copied. Afterwards it has every node of `other`. Modules and tensors stay where they are.
  Argument graph_copy(const Graph& other, std::unordered_map<const Node*, Argument>& values);

  // Copies all nodes of `other` with their names. Insertion order is kept.
  void copy_from(const Graph& other);

 private:
  friend class InsertionPoint;
  friend class Node;

  Node* create(NodeKind kind, std::string target, Callee callee, std::vector<Argument> args,
               Kwargs kwargs, std::string_view name_hint);
  void link(Node* node, Node* before);
  void unlink(Node* node);
  void attach_uses(Node* node);
  void detach_uses(Node* node);
  void renumber();
  std::string unique_name(std::string_view hint);

  std::unordered_map<std::string, std::unique_ptr<Node>> by_name_;
  std::unordered_map<std::string, int> next_suffix_;
  std::unordered_map<OpId, std::vector<Node*>> by_op_;
  Node* first_ = nullptr;
  Node* last_ = nullptr;
  Node* before_ = nullptr;
};

// Looks a callee up by name: "aten::add.Tensor" through LibTorch's registries, "fxq::quantize"
// through the op table. Null schema if nobody knows it.
Callee find_callee(std::string_view target);
// The canonical schema of a row; null if this LibTorch lacks the op.
const c10::FunctionSchema* canonical_schema(OpId op);
// True for ops of the table's OWN cells: no LibTorch knows them.
bool is_own(const c10::FunctionSchema& schema);

// True if removing an unused call could be noticed: it mutates an argument, draws random numbers,
// has effects, or nothing is known about it. Decided by the schema (spec: fx's own rule is
// unsound).
bool is_impure(const Node& node);

}  // namespace fxq
