// Pat: a pattern over values, itself a value. A default Pat is a wildcard; pat::Add(x, y) is a call
// of the row Add on what x and y match. The same Pat twice means the same node.
// What a pattern does not say must be plain: attributes have their schema defaults, there is no
// epilogue, and every call but the root has one user. Operands of a commutative row match both
// ways; if both fit, the operand pattern that is a call takes the operand that is computed later.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fxq/graph/graph_module.h"

namespace fxq {

struct PatNode;
struct Action;
struct EpilogueItem;

class Pat {
 public:
  Pat();  // any value

  // These return a new Pat with its own identity: write `const Pat w = Weighted(x).many_users();`.
  Pat attr(std::string name, Argument value) const;  // has this value
  Pat any_attr(std::string name) const;              // has any value
  Pat any_attrs() const;
  Pat many_users() const;  // may have other users; it then stays in the graph
  using Predicate = std::function<bool(const GraphModule&, const Node&)>;
  // `condition` completes the note of a refusal: "%c: not " + condition.
  Pat where(std::string condition, Predicate predicate) const;

  // The rewrite "this call, with an epilogue": w.with(add(y), activation). See rule_set.h.
  Action with(const EpilogueItem& first) const;
  Action with(const EpilogueItem& first, const EpilogueItem& second) const;

  // A call of any op that `accepts`; `label` prints it.
  using OpPredicate = bool (*)(const OpDef&);
  static Pat call(std::string label, OpPredicate accepts, std::vector<Pat> operands);
  static Pat call(OpId op, std::vector<Pat> operands);

  const PatNode& node() const { return *node_; }
  friend bool operator==(const Pat& a, const Pat& b) { return a.node_ == b.node_; }

 private:
  explicit Pat(std::shared_ptr<const PatNode> node) : node_(std::move(node)) {}
  Pat changed(const std::function<void(PatNode&)>& change) const;

  std::shared_ptr<const PatNode> node_;
};

struct PatNode {
  bool is_wildcard = true;
  std::string label;                   // "weighted"; of one op: its name
  OpId op = OpId::kNone;               // one op, or
  Pat::OpPredicate accepts = nullptr;  // every op that this accepts
  std::vector<Pat> operands;
  bool any_attrs = false;
  std::vector<std::pair<std::string, Argument>> attrs;
  std::vector<std::string> free_attrs;
  bool many_users = false;
  std::vector<std::pair<std::string, Pat::Predicate>> conditions;

  bool may_be(OpId id) const;
};

// Number of calls in a pattern: longer ones are tried first. Calls on its longest path.
int pattern_size(const Pat& pattern);
int pattern_depth(const Pat& pattern);

// "relu(add(weighted(a), b))"; `wildcards` collects those already named, so that several patterns
// of one rule can share it.
std::string to_string(const Pat& pattern, std::vector<const PatNode*>& wildcards);

// The patterns to write rules with; meant for `using namespace pat` inside the function that does.
namespace pat {

// One function per row of the op table: Add(x, y), Relu(x), BatchNorm(w).
#define OP(id, ...)                                               \
  template <typename... Pats>                                     \
  Pat id(const Pats&... operands) {                               \
    return Pat::call(OpId::k##id, std::vector<Pat>{operands...}); \
  }
#include "fxq/graph/ops/ops.def"
#undef OP

// Any convolution, transposed convolution or linear, whatever its attributes.
Pat Weighted(const Pat& x);
// Any op that may end a fused op (ACTIVATION in the op table): relu, relu6.
Pat Activation(const Pat& x);

}  // namespace pat
}  // namespace fxq
