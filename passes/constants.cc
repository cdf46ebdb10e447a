// %e = exp(%t)   ->   %e = get_attr @e
#include "fxq/passes/constants.h"

#include <ATen/core/Tensor.h>

#include "fxq/graph/ivalue_convert.h"

namespace fxq {

void replace_by_constant(GraphModule& gm, Node* node, at::Tensor value) {
  Graph& graph = gm.graph();
  const std::string path = gm.unique_path(
      node->owner.path.empty() ? node->name() : node->owner.path + "." + node->name());
  gm.set_tensor(path, value);
  const InsertionPoint here(graph, node);
  Node* constant = graph.get_attr(path);
  constant->type = node->type.kind == Type::Kind::kUnknown ? type_of(value) : node->type;
  constant->owner = node->owner;
  constant->source = node->source;
  graph.replace_all_uses(node, constant);
  graph.take_name(constant, node);
}

}  // namespace fxq
