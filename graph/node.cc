// What a node knows of itself; all edits are Graph's.
#include "fxq/graph/node.h"

#include "fxq/base/check.h"
#include "fxq/graph/graph.h"

namespace fxq {

std::string_view kind_name(NodeKind kind) {
  switch (kind) {
    case NodeKind::kPlaceholder:
      return "placeholder";
    case NodeKind::kGetAttr:
      return "get_attr";
    case NodeKind::kCallModule:
      return "call_module";
    case NodeKind::kCallFunction:
      return "call_function";
    case NodeKind::kCallMethod:
      return "call_method";
    case NodeKind::kOutput:
      break;
  }
  return "output";
}

const Argument* Node::kwarg(std::string_view key) const {
  for (const auto& [name, value] : kwargs_) {
    if (name == key) return &value;
  }
  return nullptr;
}

Node* Node::epilogue_add() const {
  const Argument* add = kwarg(kEpilogueAdd);
  return add ? add->node() : nullptr;
}

OpId Node::epilogue_activation() const {
  const Argument* activation = kwarg(kEpilogueActivation);
  const auto* name = activation ? activation->get_if<std::string>() : nullptr;
  return name ? op_from_name(*name) : OpId::kNone;
}

bool Node::is_before(const Node* other) const {
  FXQ_CHECK(graph_ == other->graph_, "nodes of two graphs have no common order");
  return order_ < other->order_;
}

}  // namespace fxq
