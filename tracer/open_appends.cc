// %append = aten::append.t(%xs, %x)   ->   %append = add_list(%xs, [%x])
#include <algorithm>

#include "fxq/tracer/open_block.h"

namespace fxq {
namespace {

bool has_user_after(const Node& value, const Node& node) {
  return std::any_of(value.users().begin(), value.users().end(),
                     [&](const Node* user) { return node.is_before(user); });
}

// The list, or one that it may be: what the block that gives it was called with.
bool is_read_after(const Node& list, const Node& node) {
  if (list.is(NodeKind::kPlaceholder) || has_user_after(list, node)) return true;
  if (list.op() != OpId::kGetItem && !list.is(NodeKind::kCallModule)) return false;
  return std::any_of(list.inputs().begin(), list.inputs().end(), [&](const Node* input) {
    const bool holds_lists =
        input->type.kind == Type::Kind::kList || input->type.kind == Type::Kind::kTuple;
    return holds_lists && input != &list && is_read_after(*input, node);
  });
}

}  // namespace

void open_appends(Graph& graph) {
  const Callee append = find_callee("aten::append.t");
  const Callee sum = find_callee("aten::add.t");
  for (Node* node : graph.nodes()) {
    if (!append.schema || node->schema() != append.schema || node->args().size() != 2) continue;
    const Node* list = node->args()[0].node();
    if (!list || is_read_after(*list, *node)) continue;
    std::vector<Argument> args{node->args()[0], Argument::list({node->args()[1]})};
    graph.set_target(node, "aten::add.t", sum);
    graph.set_args(node, std::move(args));
  }
}

}  // namespace fxq
