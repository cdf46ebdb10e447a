// Node: one step of a graph, of one of torch.fx's six kinds. The graph owns its nodes; everybody
// else borrows Node*. Names are unique in a graph and identify a value through all stages.
// All edits that touch uses go through Graph, which keeps users exact.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/types/span.h"
#include "fxq/graph/argument.h"
#include "fxq/graph/ops/op_def.h"
#include "fxq/graph/type.h"

namespace c10 {
struct FunctionSchema;
}

namespace fxq {

class Graph;

enum class NodeKind : uint8_t {
  kPlaceholder,
  kGetAttr,
  kCallModule,
  kCallFunction,
  kCallMethod,
  kOutput,
};
std::string_view kind_name(NodeKind kind);  // "call_module"

// The module whose code made a call: qconfigs of functions resolve through it.
struct Owner {
  std::string path;        // "layer1.0"; "" is the root
  std::string class_name;  // "torchvision.models.resnet.BasicBlock"
};

// What a call is: its op and schema; filled by Graph for functions, by GraphModule for modules.
struct Callee {
  OpId op = OpId::kNone;
  const c10::FunctionSchema* schema = nullptr;
};

using Kwargs = std::vector<std::pair<std::string, Argument>>;

// Keyword arguments that every call may carry: a fused op is its base op plus this epilogue,
//   y = activation(base(args...) + add)
inline constexpr std::string_view kEpilogueAdd = "add";                // Node*
inline constexpr std::string_view kEpilogueActivation = "activation";  // op name: "relu"

class Node {
 public:
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  const std::string& name() const { return name_; }
  NodeKind kind() const { return kind_; }
  bool is(NodeKind kind) const { return kind_ == kind; }
  bool is_call() const {
    return is(NodeKind::kCallModule) || is(NodeKind::kCallFunction) || is(NodeKind::kCallMethod);
  }
  // placeholder: its input's name; get_attr, call_module: dotted path; call_function: the schema's
  // "aten::add.Tensor"; call_method: the method's name; output: "output".
  const std::string& target() const { return target_; }
  // The op table's row; kNone for ops without one and for nodes that call nothing.
  OpId op() const { return op_; }
  // The called schema: of a function, or of the op that a module is. Null if there is none.
  const c10::FunctionSchema* schema() const { return schema_; }

  const std::vector<Argument>& args() const { return args_; }
  const Kwargs& kwargs() const { return kwargs_; }
  const Argument* kwarg(std::string_view key) const;  // nullptr if absent
  Node* epilogue_add() const;                         // nullptr if none
  OpId epilogue_activation() const;                   // kNone if none

  // Nodes in args and kwargs, each once, in order of first appearance.
  absl::Span<Node* const> inputs() const { return inputs_; }
  // Nodes that use this one, each once, in the order in which they came to use it.
  absl::Span<Node* const> users() const { return users_; }

  Graph* graph() const { return graph_; }
  Node* next() const { return next_; }  // program order; nullptr at the end
  Node* prev() const { return prev_; }
  bool is_before(const Node* other) const;  // in program order, both in this graph; constant time

  // Facts that passes may write freely.
  Type type;
  Owner owner;
  std::string source;                // "model.py:41"
  std::vector<std::string> origins;  // float names where that is not just the name
  std::string device;                // "BPU", "CPU" once partitioned
  bool follows_mode = false;         // its `training`/`train` argument is the graph's mode

 private:
  friend class Graph;
  Node() = default;

  Graph* graph_ = nullptr;
  Node* prev_ = nullptr;
  Node* next_ = nullptr;
  int64_t order_ = 0;
  std::string name_;
  std::string target_;
  NodeKind kind_ = NodeKind::kPlaceholder;
  OpId op_ = OpId::kNone;
  const c10::FunctionSchema* schema_ = nullptr;
  std::vector<Argument> args_;
  Kwargs kwargs_;
  std::vector<Node*> inputs_;
  std::vector<Node*> users_;
};

}  // namespace fxq
