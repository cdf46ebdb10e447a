// %y = @opaque_if(%x)   ->   @opaque_if is code: %if = @if(%c, %x), bodies with nodes
// "y_if_mul", "y_if_mul_1"
#include "fxq/export/open_blocks.h"

#include <ATen/core/Tensor.h>
#include <ATen/core/function_schema.h>

#include <algorithm>
#include <set>
#include <unordered_set>

#include "fxq/base/status.h"
#include "fxq/export/check_guards.h"
#include "fxq/graph/guard_text.h"
#include "fxq/graph/opaque_module.h"
#include "fxq/passes/cleanup.h"
#include "fxq/tracer/aliases.h"
#include "fxq/tracer/open_block.h"

namespace fxq {
namespace {

// Code inside code inside code.
constexpr int kDeepest = 16;

const OpaqueModule* called_opaque(const GraphModule& gm, const Node& node) {
  if (!node.is(NodeKind::kCallModule)) return nullptr;
  return dynamic_cast<const OpaqueModule*>(gm.module(node.target()).get());
}

std::vector<Type> argument_types(const Node& node) {
  std::vector<Type> types;
  for (const Argument& argument : node.args()) {
    types.push_back(argument.node() ? argument.node()->type : Type());
  }
  return types;
}

class Opener {
 public:
  void open_in(GraphModule& gm, int depth) {
    for (Node* node : std::vector<Node*>(gm.graph().nodes().begin(), gm.graph().nodes().end())) {
      if (const OpaqueModule* opaque = called_opaque(gm, *node)) {
        const std::set<size_t> owned = owned_inputs(*opaque, *node);
        auto block = open_block(*opaque, argument_types(*node), owned);
        if (!block.ok() || depth >= kDeepest) continue;
        if (loses_value(*block->module, *node, owned)) continue;
        const std::string path = gm.unique_path(node->target());
        gm.set_module(path, block->module);
        gm.graph().set_target(node, path, {});
        if (!owned.empty()) take_written(gm.graph(), node, owned, block->shown);
      }
      BlockModule* block = called_block(gm, *node);
      if (!block) continue;
      for (GraphModule& body : block->bodies()) {
        name_nodes(body, node->name(), node->source);
        open_in(body, depth + 1);
      }
    }
    gm.remove_unused();
  }

  void take_names(const GraphModule& gm) {
    for (const Node* node : gm.graph().nodes()) taken_.insert(node->name());
  }

  // Those that the code writes into and nobody else sees: made by a call of their own, and until
  // here read by calls that give something new.
  std::set<size_t> owned_inputs(const OpaqueModule& opaque, const Node& call) const {
    std::set<size_t> owned;
    for (const size_t index : written_inputs(opaque)) {
      const Node* operand = index < call.args().size() ? call.args()[index].node() : nullptr;
      if (!operand || (!gives_something_new(*operand) && written_.count(operand) == 0)) return {};
      if (times_given(call, operand) > 1) return {};
      for (const Node* user : operand->users()) {
        if (user->is_before(&call) && !gives_something_new(*user)) return {};
      }
      owned.insert(index);
    }
    return owned;
  }

 private:
  // A list may hold it too.
  static int times_given(const Node& call, const Node* operand) {
    int times = 0;
    for (const Argument& argument : call.args()) {
      argument.for_each_node([&](const Node* node) { times += node == operand ? 1 : 0; });
    }
    return times;
  }

  // Lists made of lists hold the same tensors.
  static bool gives_something_new(const Node& node) {
    if (!node.schema() || node.op() == OpId::kGetItem) return false;
    const std::vector<Type>& elements = node.type.elements;
    if (!elements.empty() && elements[0].is_tensor()) return false;
    return !node.schema()->is_mutable() && !aliased_argument(*node.schema(), 0);
  }

  // Somebody reads a written operand afterwards, and the block does not give it.
  static bool loses_value(const BlockModule& block, const Node& call,
                          const std::set<size_t>& owned) {
    size_t place = 0;
    for (const size_t index : owned) {
      ++place;
      const Node* operand = call.args()[index].node();
      const Argument& result =
          block.bodies()[0].graph().output_node()->args()[0].items()->at(place);
      const bool read_later = std::any_of(operand->users().begin(), operand->users().end(),
                                          [&](const Node* user) { return call.is_before(user); });
      if (result.is_none() && read_later) return true;
    }
    return false;
  }

  // From here on, readers of what was written read the block's results.
  void take_written(Graph& graph, Node* call, const std::set<size_t>& owned,
                    const std::set<size_t>& shown) {
    InsertionPoint after = InsertionPoint::after(call);
    Node* result =
        graph.call_op(OpId::kGetItem, {call, Argument(int64_t{0})}, {}, call->name() + "_result");
    result->type = call->type;
    result->source = call->source;
    graph.replace_all_uses(call, result, result);
    int64_t place = 0;
    for (const size_t index : owned) {
      Node* operand = call->args()[index].node();
      Node* now = graph.call_op(OpId::kGetItem, {call, Argument(++place)}, {},
                                operand->name() + "_written");
      now->type = operand->type;
      now->source = call->source;
      for (Node* user : std::vector<Node*>(operand->users().begin(), operand->users().end())) {
        if (call->is_before(user)) graph.replace_input(user, operand, now);
      }
      if (shown.count(index) == 0) written_.insert(now);
    }
  }

  void name_nodes(GraphModule& body, const std::string& outer, const std::string& source) {
    for (Node* node : body.graph().nodes()) {
      if (node->source.empty()) node->source = source;
      std::string name = outer + "_" + node->name();
      for (int i = 1; taken_.count(name) != 0 || body.graph().find(name) != nullptr; ++i) {
        name = outer + "_" + node->name() + "_" + std::to_string(i);
      }
      taken_.insert(name);
      body.graph().rename(node, name);
    }
  }

  std::unordered_set<std::string> taken_;
  std::unordered_set<const Node*> written_;  // results that stand for operands, and nothing shows
};

template <typename Visit>
void for_each_call(GraphModule& gm, const Visit& visit) {
  for (Node* node : gm.graph().nodes()) {
    if (BlockModule* block = called_block(gm, *node)) visit(*node, *block);
  }
}

// Of the operands that each body has a placeholder for, with the same value all the time.
size_t first_captured(const BlockModule& block) {
  switch (block.block_kind()) {
    case BlockKind::kCode:
      return 0;
    case BlockKind::kIf:
      return 1;
    case BlockKind::kLoop:
      return 2 + block.results().size();
  }
  return 0;
}

void hand_over(const GraphModule& gm, const Node& call, BlockModule& block) {
  const size_t first = first_captured(block);
  for (GraphModule& body : block.bodies()) {
    const std::vector<Node*> placeholders = body.graph().placeholders();
    const size_t count = call.args().size() - first;
    const size_t skipped = placeholders.size() - count;  // a loop's trip and what goes round
    for (size_t i = 0; i < count; ++i) {
      const Node* operand = call.args()[first + i].node();
      if (!operand || !operand->is(NodeKind::kGetAttr)) continue;
      Node* placeholder = placeholders[skipped + i];
      const std::string path = body.tensor(operand->target()).defined()
                                   ? body.unique_path(operand->target())
                                   : operand->target();
      body.set_tensor(path, gm.tensor(operand->target()));
      const InsertionPoint here(body.graph(), body.graph().first());
      Node* own = body.graph().get_attr(path, placeholder->name() + "_own");
      own->type = operand->type;
      own->source = placeholder->source;
      body.graph().replace_all_uses(placeholder, own);
    }
  }
}

}  // namespace

BlockModule* called_block(const GraphModule& gm, const Node& node) {
  if (!node.is(NodeKind::kCallModule)) return nullptr;
  return dynamic_cast<BlockModule*>(gm.module(node.target()).get());
}

void open_blocks(GraphModule& model) {
  open_appends(model.graph());
  Opener opener;
  opener.take_names(model);
  opener.open_in(model, 0);
}

std::string why_closed(const GraphModule& gm, const Node& node) {
  const OpaqueModule* opaque = called_opaque(gm, node);
  if (!opaque) return "";
  const std::set<size_t> owned = Opener().owned_inputs(*opaque, node);
  absl::Status status = open_block(*opaque, argument_types(node), owned).status();
  if (status.ok()) status = open_block(*opaque, argument_types(node)).status();
  return std::string(message_of(status));
}

void hand_over_parameters(GraphModule& model) {
  for_each_call(model, [&](Node& call, BlockModule& block) {
    hand_over(model, call, block);
    for (GraphModule& body : block.bodies()) hand_over_parameters(body);
  });
}

absl::Status drop_block_guards(GraphModule& model, std::vector<std::string>& asserts) {
  absl::Status status;
  for_each_call(model, [&](Node&, BlockModule& block) {
    for (GraphModule& body : block.bodies()) {
      auto found = check_guards(body, body);
      if (!found.ok() && status.ok()) status = found.status();
      if (!found.ok()) continue;
      asserts.insert(asserts.end(), found->begin(), found->end());
      for (const std::string& text : body.guards) {
        if (text.find(kMustNotRaise) != std::string::npos) asserts.push_back(text);
      }
      if (status.ok()) status = drop_guards(body).status();
      if (status.ok()) status = drop_block_guards(body, asserts);
    }
  });
  return status;
}

}  // namespace fxq
