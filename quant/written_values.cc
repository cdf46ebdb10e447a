// Schemas say it all: "slice(Tensor(a) self, ...) -> Tensor(a)" shares memory with its operand, and
// "fill_(Tensor(a!) self, ...)" writes into it.
#include "fxq/quant/written_values.h"

#include <ATen/core/function_schema.h>

namespace fxq {
namespace {

// The node's argument at a place of its schema; modules' tensors are not among them.
const Argument* argument_at(const Node& node, size_t index) {
  if (const Argument* named = node.kwarg(node.schema()->arguments()[index].name())) return named;
  return index < node.args().size() ? &node.args()[index] : nullptr;
}

bool is_returned(const c10::FunctionSchema& schema, const c10::Argument& argument) {
  if (!argument.alias_info()) return false;
  for (const c10::Argument& result : schema.returns()) {
    if (!result.alias_info()) continue;
    for (const auto& set : argument.alias_info()->beforeSets()) {
      if (result.alias_info()->beforeSets().count(set) != 0) return true;
    }
  }
  return false;
}

}  // namespace

WrittenValues::WrittenValues(const Graph& graph) {
  auto join = [&](const Node* node, const Argument* argument) {
    if (!argument) return;
    argument->for_each_node([&](Node* other) {
      const Node* from = root(node);
      const Node* to = root(other);
      if (from != to) shares_with_[from] = to;
    });
  };
  for (const Node* node : graph.nodes()) {
    if (node->op() == OpId::kGetItem && !node->args().empty()) join(node, &node->args()[0]);
    if (!node->is_call() || !node->schema()) continue;
    const auto& declared = node->schema()->arguments();
    for (size_t i = 0; i < declared.size(); ++i) {
      if (is_returned(*node->schema(), declared[i])) join(node, argument_at(*node, i));
    }
  }
  for (const Node* node : graph.nodes()) {
    if (!node->is(NodeKind::kCallFunction) || !node->schema()) continue;
    const auto& declared = node->schema()->arguments();
    for (size_t i = 0; i < declared.size(); ++i) {
      if (!declared[i].alias_info() || !declared[i].alias_info()->isWrite()) continue;
      const Argument* written = argument_at(*node, i);
      if (!written) continue;
      written->for_each_node([&](Node* value) { writer_of_root_.emplace(root(value), node); });
    }
  }
}

const Node* WrittenValues::root(const Node* value) const {
  for (auto it = shares_with_.find(value); it != shares_with_.end();
       it = shares_with_.find(value)) {
    value = it->second;
  }
  return value;
}

const Node* WrittenValues::writer(const Node* value) const {
  if (writer_of_root_.empty()) return nullptr;
  auto it = writer_of_root_.find(root(value));
  return it == writer_of_root_.end() ? nullptr : it->second;
}

}  // namespace fxq
