// CallWriter: writes calls in front of a node, on its behalf: with its owner and source line. For
// passes that say one call by several.
#pragma once

#include <string>
#include <vector>

#include "fxq/graph/view.h"

namespace fxq {

class CallWriter {
 public:
  CallWriter(GraphModule& gm, Node* node)
      : gm_(gm), node_(node), view_(gm, node), point_(gm.graph(), node) {}

  const OpView& view() const { return view_; }

  Node* call(OpId op, std::vector<Argument> args, const Type& type);
  // A parameter of the node; one that a module holds becomes a get_attr. Null if it has none.
  Node* param(const std::string& name);

 private:
  GraphModule& gm_;
  Node* node_;
  OpView view_;
  InsertionPoint point_;
};

inline Argument or_none(Node* node) { return node ? Argument(node) : Argument(); }

}  // namespace fxq
