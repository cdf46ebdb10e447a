// %y = lstm_cell(%x, [%h, %c], w_ih, w_hh, b_ih, b_hh)    ->
//   i, f, g, o = chunk(linear(%x, w_ih, b_ih) + linear(%h, w_hh, b_hh), 4)
//   c' = sigmoid(f) * %c + sigmoid(i) * tanh(g);  h' = sigmoid(o) * tanh(c')
// Its parts h' and c' are read by getitem; a cell whose tuple is used as a whole stays.
#include <algorithm>

#include "fxq/base/status.h"
#include "fxq/passes/call_writer.h"
#include "fxq/passes/cleanup.h"

namespace fxq {
namespace {

const int64_t* part_of(const Node* user) {
  const bool reads = user->op() == OpId::kGetItem && user->args().size() == 2;
  return reads ? user->args()[1].get_if<int64_t>() : nullptr;
}

bool can_open(const Node& node) {
  if (node.args().size() < 2 || !node.args()[1].items() || node.args()[1].items()->size() != 2) {
    return false;
  }
  return std::all_of(node.users().begin(), node.users().end(),
                     [](const Node* user) { return part_of(user) != nullptr; });
}

class Cell {
 public:
  Cell(GraphModule& gm, Node* node) : gm_(gm), node_(node), writer_(gm, node) {}

  void open() {
    const std::vector<Argument>& state = *node_->args()[1].items();
    Node* h = state[0].node();
    Node* c = state[1].node();
    state_ = c->type;
    gates_ = h->type;
    if (gates_.dims && !gates_.dims->empty() && gates_.dims->back().is_known()) {
      gates_.dims->back().size *= 4;
    }
    Node* sums =
        call(OpId::kAdd,
             {linear(node_->args()[0].node(), "w_ih", "b_ih"), linear(h, "w_hh", "b_hh")}, gates_);
    const Type parts = Type::list(state_);
    Node* chunks = call(OpId::kChunk, {sums, int64_t{4}, int64_t{-1}}, parts);
    Node* kept = call(OpId::kMul, {gate(chunks, 1, OpId::kSigmoid), c}, state_);
    Node* added =
        call(OpId::kMul, {gate(chunks, 0, OpId::kSigmoid), gate(chunks, 2, OpId::kTanh)}, state_);
    Node* new_c = call(OpId::kAdd, {kept, added}, state_);
    Node* squashed = call(OpId::kTanh, {new_c}, state_);
    replace(call(OpId::kMul, {gate(chunks, 3, OpId::kSigmoid), squashed}, state_), new_c);
  }

 private:
  Node* call(OpId op, std::vector<Argument> args, const Type& type) {
    return writer_.call(op, std::move(args), type);
  }

  Node* linear(Node* x, const char* weight, const char* bias) {
    return call(OpId::kLinear, {x, writer_.param(weight), or_none(writer_.param(bias))}, gates_);
  }

  Node* gate(Node* chunks, int64_t index, OpId activation) {
    Node* part = call(OpId::kGetItem, {chunks, index}, state_);
    return call(activation, {part}, state_);
  }

  void replace(Node* h, Node* c) {
    const std::vector<Node*> users(node_->users().begin(), node_->users().end());
    for (Node* user : users) {
      const int64_t part = *part_of(user);
      gm_.graph().replace_all_uses(user, part == 0 || part == -2 ? h : c);
      gm_.graph().erase(user).IgnoreError();
    }
    gm_.graph().erase(node_).IgnoreError();
  }

  GraphModule& gm_;
  Node* node_;
  CallWriter writer_;
  Type state_, gates_;
};

}  // namespace

absl::StatusOr<bool> open_lstm_cell(GraphModule& gm) {
  bool changed = false;
  for (Node* node : std::vector<Node*>(gm.graph().find_all(OpId::kLstmCell))) {
    const OpView view(gm, node);
    if (!can_open(*node) || !view.has_param("w_ih") || !view.has_param("w_hh")) continue;
    Cell(gm, node).open();
    changed = true;
  }
  return changed;
}

}  // namespace fxq
