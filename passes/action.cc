// The right sides that need no op-specific code:
//   relu(add(conv(x), y)) -> conv(x, add=y, activation="relu")        Pat::with
//   mul(x, sigmoid(x))    -> silu(x)                                  a pattern
#include <ATen/core/function_schema.h>
#include <fmt/format.h>

#include "fxq/base/check.h"
#include "fxq/passes/rule_set.h"

namespace fxq {
namespace {

std::string refuse_add(const Node& base, const Node& addend) {
  for (const Node* node : {&base, &addend}) {
    if (!node->type.dims || !node->type.dtype) {
      return fmt::format("the type of %{} is {}: propagate shapes first", node->name(),
                         node->type.to_string());
    }
  }
  if (same_shape(base.type, addend.type) && base.type.dtype == addend.type.dtype) return "";
  return fmt::format("%{} is {} and %{} is {}; they must be equal", base.name(),
                     base.type.to_string(), addend.name(), addend.type.to_string());
}

Action with_items(const Pat& base, const std::vector<EpilogueItem>& items) {
  auto print = [=](std::vector<const PatNode*>& wildcards) {
    std::string text = to_string(base, wildcards);
    for (const EpilogueItem& item : items) {
      text += item.addend ? " + " + to_string(*item.addend, wildcards) : ", activation";
    }
    return text;
  };
  auto refuse = [=](const GraphModule&, const Match& match, const RewriteScope&) -> std::string {
    const Node* node = match.at(base);
    if (node->users().size() != 1) {
      return fmt::format("%{} has {} users", node->name(), node->users().size());
    }
    for (const EpilogueItem& item : items) {
      if (!item.addend) continue;
      std::string reason = refuse_add(*node, *match.at(*item.addend));
      if (!reason.empty()) return reason;
    }
    return "";
  };
  auto apply = [=](GraphModule& gm, const Match& match) -> absl::StatusOr<Node*> {
    Node* node = match.at(base);
    for (const EpilogueItem& item : items) {
      if (item.addend) {
        gm.graph().set_kwarg(node, kEpilogueAdd, match.at(*item.addend));
      } else {
        const std::string name(op_def(match.activation()->op()).name);
        gm.graph().set_kwarg(node, kEpilogueActivation, name);
      }
    }
    // The addend may have been computed after the base.
    gm.graph().move_before(node, match.root);
    return node;
  };
  return Action(print, refuse, apply);
}

bool takes_list(OpId op) {
  const c10::FunctionSchema* schema = canonical_schema(op);
  return schema && !schema->arguments().empty() &&
         schema->arguments()[0].type()->kind() == c10::TypeKind::ListType;
}

Node* build(Graph& graph, const Pat& pattern, const Match& match) {
  if (Node* known = match.at(pattern)) return known;
  std::vector<Argument> args;
  for (const Pat& operand : pattern.node().operands) {
    args.emplace_back(build(graph, operand, match));
  }
  Kwargs kwargs;
  for (const auto& [name, value] : pattern.node().attrs) kwargs.emplace_back(name, value);
  const OpId op = pattern.node().op;
  if (takes_list(op)) args = {Argument::list(std::move(args))};
  return graph.call_op(op, std::move(args), std::move(kwargs));
}

void check_buildable(const Pat& pattern) {
  const PatNode& node = pattern.node();
  FXQ_CHECK(node.is_wildcard || node.op != OpId::kNone,
            "a rule cannot build \"" + node.label + "\", which may be several ops");
  for (const Pat& operand : node.operands) check_buildable(operand);
}

}  // namespace

Action::Action(Print print_action, Refuse refuse_action, Apply apply_action)
    : print(std::move(print_action)),
      refuse(std::move(refuse_action)),
      apply(std::move(apply_action)) {}

Action::Action(const Pat& after)
    : print(
          [after](std::vector<const PatNode*>& wildcards) { return to_string(after, wildcards); }),
      refuse([](const GraphModule&, const Match&, const RewriteScope&) { return std::string(); }),
      apply([after](GraphModule& gm, const Match& match) -> absl::StatusOr<Node*> {
        const InsertionPoint here(gm.graph(), match.root);
        return build(gm.graph(), after, match);
      }) {
  check_buildable(after);
}

Action refuse(std::string why) {
  return Action([](std::vector<const PatNode*>&) { return std::string("stays"); },
                [why](const GraphModule&, const Match&, const RewriteScope&) { return why; },
                [](GraphModule&, const Match&) -> absl::StatusOr<Node*> {
                  return absl::InternalError("a rule that refuses was applied");
                });
}

Action Pat::with(const EpilogueItem& first) const { return with_items(*this, {first}); }

Action Pat::with(const EpilogueItem& first, const EpilogueItem& second) const {
  return with_items(*this, {first, second});
}

}  // namespace fxq
