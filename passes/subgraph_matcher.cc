// Goals: "this argument of the pattern is that argument of the graph". A call goal that fits
// becomes one goal an argument; where several ways are open (operand order, the next anchor) each
// is tried with all goals that are left, so a choice that fails late is taken back.
#include "fxq/passes/subgraph_matcher.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/equal.h>
#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "fxq/base/status.h"
#include "fxq/graph/call_arguments.h"
#include "fxq/graph/leaf_module.h"
#include "fxq/passes/effects.h"
#include "fxq/passes/pattern_graph.h"

namespace fxq {
namespace {

// Steps for one root; ambiguous patterns (sums of sums) stop here rather than run for hours.
constexpr int64_t kMostSteps = 200'000;

// What stands at a place of the graph: an argument, or a tensor of a module.
struct Value {
  Argument argument;
  std::string tensor_path;

  friend bool operator==(const Value& a, const Value& b) {
    return a.argument == b.argument && a.tensor_path == b.tensor_path;
  }
};

struct Goal {
  Argument want;
  Value value;
};

// Goals that are left: the first, then the rest. Lives on the stack of the search.
struct Goals {
  Goal goal;
  const Goals* rest;
};

bool same_number(const Argument& a, const Argument& b) {
  auto number = [](const Argument& value) -> std::optional<double> {
    if (const auto* integer = value.get_if<int64_t>()) return static_cast<double>(*integer);
    if (const auto* real = value.get_if<double>()) return *real;
    return std::nullopt;
  };
  const auto left = number(a);
  return left && left == number(b);
}

class Search {
 public:
  Search(const GraphModule& gm, const PatternGraph& pattern, const MatchOptions& options,
         const std::vector<const Node*>& barriers, std::vector<std::string>* notes)
      : gm_(gm), pattern_(pattern), options_(options), barriers_(barriers), notes_(notes) {}

  bool run(Node* root) {
    if (!may_be(pattern_.anchors()[0], {root, ""})) return false;
    bound_.clear();
    taken_.clear();
    steps_ = 0;
    Goals first{{pattern_.anchors()[0], {root, ""}}, nullptr};
    return solve(&first, 1);
  }

  bool gave_up() const { return steps_ > kMostSteps; }

  PatternMatch match() const {
    PatternMatch result;
    for (const Node* anchor : pattern_.anchors()) result.anchors.push_back(bound_node(anchor));
    for (const auto& [want, value] : bound_) {
      if (want->is_call()) {
        Node* node = value.argument.node();
        result.calls[want->name()] = node;
        const bool modules = want->is(NodeKind::kCallModule) && node->is(NodeKind::kCallModule);
        if (modules) result.modules[want->target()] = node->target();
      } else if (want->is(NodeKind::kPlaceholder)) {
        result.inputs[want->name()] = value.argument;
        if (!value.tensor_path.empty()) result.tensors[want->name()] = value.tensor_path;
      }
    }
    return result;
  }

 private:
  // `anchor`: the next of the pattern's anchors to find once no goal is left.
  bool solve(const Goals* goals, size_t anchor) {
    if (++steps_ > kMostSteps) return false;
    if (!goals) return anchor == pattern_.anchors().size() ? accept() : solve_anchor(anchor);
    const Goal& goal = goals->goal;
    const Node* want = goal.want.node();
    if (!want) return solve_constant(goal, goals->rest, anchor);
    if (auto known = bound_.find(want); known != bound_.end()) {
      return known->second == goal.value && solve(goals->rest, anchor);
    }
    if (!may_be(want, goal.value)) return false;
    bound_[want] = goal.value;
    if (want->is_call()) taken_.insert(goal.value.argument.node());
    const bool solved = want->is_call() ? solve_call(want, goal.value, goals->rest, anchor)
                                        : solve(goals->rest, anchor);
    if (solved) return true;
    bound_.erase(want);
    if (want->is_call()) taken_.erase(goal.value.argument.node());
    return false;
  }

  bool may_be(const Node* want, const Value& value) const {
    if (want->is(NodeKind::kPlaceholder)) return true;
    const Node* node = value.argument.node();
    if (!node || node->kind() == NodeKind::kPlaceholder) return false;
    if (want->is(NodeKind::kGetAttr)) return same_tensor(*want, *node);
    if (!node->is_call() || taken_.count(node) != 0) return false;
    if (want->op() != node->op()) return false;
    if (want->op() != OpId::kNone) return true;
    return want->schema() ? want->schema() == node->schema()
                          : want->kind() == node->kind() && same_target(*want, *node);
  }

  bool same_tensor(const Node& want, const Node& node) const {
    if (!node.is(NodeKind::kGetAttr)) return false;
    const at::Tensor a = pattern_.module().tensor(want.target());
    const at::Tensor b = gm_.tensor(node.target());
    return a.dtype() == b.dtype() && a.sizes() == b.sizes() && at::equal(a, b);
  }

  // Calls that no schema describes: methods by name, TorchScript parts by class.
  bool same_target(const Node& want, const Node& node) const {
    if (!want.is(NodeKind::kCallModule)) return want.target() == node.target();
    const auto a = pattern_.module().module(want.target());
    const auto b = gm_.module(node.target());
    return a && b && a->class_name() == b->class_name();
  }

  bool solve_call(const Node* want, const Value& value, const Goals* rest, size_t anchor) {
    Node* node = value.argument.node();
    std::vector<Goal> goals;
    if (!argument_goals(want, node, goals)) return false;
    if (solve_all(goals, 0, rest, anchor)) return true;
    if (!op_def(want->op()).commutes || goals.size() < 2) return false;
    std::swap(goals[0].value, goals[1].value);
    return solve_all(goals, 0, rest, anchor);
  }

  // One goal an argument of either; false if they cannot be the same.
  bool argument_goals(const Node* want, const Node* node, std::vector<Goal>& goals) const {
    if (!want->schema()) return plain_goals(want, node, goals);
    std::vector<CallArgument> given = call_arguments(gm_, *node);
    for (const CallArgument& wanted : pattern_.arguments(want)) {
      if (!wanted.tensor_path.empty()) continue;  // a module's tensor is captured with its module
      auto it = std::find_if(given.begin(), given.end(), [&](const CallArgument& candidate) {
        return candidate.name == wanted.name;
      });
      const bool found = it != given.end();
      goals.push_back({wanted.value, found ? Value{it->value, it->tensor_path} : Value()});
      if (found) given.erase(it);
    }
    const bool owns_tensors = want->is(NodeKind::kCallModule);
    return std::all_of(given.begin(), given.end(), [&](const CallArgument& extra) {
      return (owns_tensors && !extra.tensor_path.empty()) || is_default(extra);
    });
  }

  static bool plain_goals(const Node* want, const Node* node, std::vector<Goal>& goals) {
    if (want->args().size() != node->args().size()) return false;
    if (want->kwargs().size() != node->kwargs().size()) return false;
    for (size_t i = 0; i < want->args().size(); ++i) {
      goals.push_back({want->args()[i], {node->args()[i], ""}});
    }
    for (const auto& [key, value] : want->kwargs()) {
      const Argument* given = node->kwarg(key);
      if (!given) return false;
      goals.push_back({value, {*given, ""}});
    }
    return true;
  }

  bool solve_all(const std::vector<Goal>& goals, size_t next, const Goals* rest, size_t anchor) {
    std::vector<Goals> chain(goals.size() - next);
    for (size_t i = 0; i < chain.size(); ++i) {
      chain[i] = {goals[next + i], i + 1 < chain.size() ? &chain[i + 1] : rest};
    }
    return solve(chain.empty() ? rest : chain.data(), anchor);
  }

  // A constant, or a container with nodes somewhere inside.
  bool solve_constant(const Goal& goal, const Goals* rest, size_t anchor) {
    const Argument& want = goal.want;
    const Argument& given = goal.value.argument;
    if (!goal.value.tensor_path.empty()) return false;
    if (want.is_constant()) {
      const bool fits = want == given || same_number(want, given) ||
                        (options_.ignore_literals && given.is_constant() && !given.is_none());
      return fits && solve(rest, anchor);
    }
    std::vector<Goal> goals;
    if (!item_goals(want, given, goals)) return false;
    return solve_all(goals, 0, rest, anchor);
  }

  static bool item_goals(const Argument& want, const Argument& given, std::vector<Goal>& goals) {
    if (want.value().index() != given.value().index()) return false;
    auto pair_up = [&](const std::vector<Argument>& a, const std::vector<Argument>& b) {
      for (size_t i = 0; i < a.size() && i < b.size(); ++i) goals.push_back({a[i], {b[i], ""}});
      return a.size() == b.size();
    };
    if (const auto* slice = want.get_if<SliceArg>()) {
      return pair_up(slice->parts, given.get<SliceArg>().parts);
    }
    if (const auto* dict = want.get_if<DictArg>()) {
      const auto& items = given.get<DictArg>().items;
      for (size_t i = 0; i < dict->items.size() && i < items.size(); ++i) {
        goals.push_back({dict->items[i].first, {items[i].first, ""}});
        goals.push_back({dict->items[i].second, {items[i].second, ""}});
      }
      return dict->items.size() == items.size();
    }
    return pair_up(*want.items(), *given.items());
  }

  // The next anchor: already part of the match, near what is bound, or anywhere.
  bool solve_anchor(size_t index) {
    Node* want = pattern_.anchors()[index];
    if (bound_.count(want) != 0) return solve(nullptr, index + 1);
    for (Node* candidate : candidates(want)) {
      Goals goal{{want, {candidate, ""}}, nullptr};
      if (solve(&goal, index + 1)) return true;
    }
    return false;
  }

  std::vector<Node*> candidates(const Node* want) const {
    const auto shared = pattern_.nearest_bound(want, [&](const Node* node) {
      auto it = bound_.find(node);
      return it != bound_.end() && it->second.argument.is_node();
    });
    std::vector<Node*> result;
    if (!shared.node) {
      for (Node* node : gm_.graph().nodes()) {
        if (may_be(want, {node, ""})) result.push_back(node);
      }
      return result;
    }
    std::unordered_set<const Node*> seen;
    std::vector<Node*> layer = {bound_node(shared.node)};
    for (int depth = 0; depth < shared.distance; ++depth) {
      std::vector<Node*> next;
      for (const Node* node : layer) {
        for (Node* user : node->users()) {
          if (seen.insert(user).second) next.push_back(user);
        }
      }
      for (Node* node : next) {
        if (may_be(want, {node, ""})) result.push_back(node);
      }
      layer = std::move(next);
    }
    std::sort(result.begin(), result.end(), [](Node* a, Node* b) { return a->is_before(b); });
    return result;
  }

  bool accept() {
    for (const auto& [want, value] : bound_) {
      const Node* node = value.argument.node();
      if (!want->is_call() && node && taken_.count(node) != 0) return false;
    }
    const std::string obstacle = find_obstacle();
    if (!obstacle.empty()) {
      const std::string root = bound_node(pattern_.anchors()[0])->name();
      if (notes_) notes_->push_back(fmt::format("pattern at %{}: {}", root, obstacle));
      return false;
    }
    if (options_.filters.empty()) return true;
    const PatternMatch found = match();
    return std::all_of(options_.filters.begin(), options_.filters.end(),
                       [&](const MatchFilter& filter) { return filter(gm_, found); });
  }

  std::string find_obstacle() const {
    const Node* first = nullptr;
    const Node* last = nullptr;
    for (const Node* want : pattern_.order()) {
      if (!want->is_call()) continue;
      const Node* node = bound_node(want);
      if (!first || node->is_before(first)) first = node;
      if (!last || last->is_before(node)) last = node;
      if (pattern_.is_anchor(want)) continue;
      for (const Node* user : node->users()) {
        if (taken_.count(user) == 0) {
          return fmt::format("%{} is used by %{}, outside the match", node->name(), user->name());
        }
      }
    }
    for (const Node* barrier : barriers_) {
      const bool between = first->is_before(barrier) && barrier->is_before(last);
      if (between && taken_.count(barrier) == 0) {
        return fmt::format("the effect of %{} stands in between", barrier->name());
      }
    }
    return "";
  }

  Node* bound_node(const Node* want) const { return bound_.at(want).argument.node(); }

  const GraphModule& gm_;
  const PatternGraph& pattern_;
  const MatchOptions& options_;
  const std::vector<const Node*>& barriers_;
  std::vector<std::string>* notes_;
  std::unordered_map<const Node*, Value> bound_;
  std::unordered_set<const Node*> taken_;  // calls of the graph that are bound
  int64_t steps_ = 0;
};

}  // namespace

Node* PatternMatch::call(std::string_view name) const {
  const auto it = calls.find(std::string(name));
  return it == calls.end() ? nullptr : it->second;
}

Argument PatternMatch::input(std::string_view name) const {
  const auto it = inputs.find(std::string(name));
  return it == inputs.end() ? Argument() : it->second;
}

bool PatternMatch::contains(const Node* node) const {
  return std::any_of(calls.begin(), calls.end(),
                     [&](const auto& entry) { return entry.second == node; });
}

absl::StatusOr<std::vector<PatternMatch>> find_matches(const GraphModule& gm,
                                                       const GraphModule& pattern,
                                                       const MatchOptions& options,
                                                       std::vector<std::string>* notes) {
  const PatternGraph shape(pattern);
  FXQ_RETURN_IF_ERROR(shape.check());
  const std::vector<const Node*> effects = barriers(gm.graph());
  Search search(gm, shape, options, effects, notes);
  std::vector<PatternMatch> matches;
  std::unordered_set<const Node*> covered;
  for (Node* node : gm.graph().nodes()) {
    if (!search.run(node)) {
      if (!search.gave_up()) continue;
      return absl::InvalidArgumentError(fmt::format(
          "the pattern fits in too many ways at %{}: give it fewer operands that can be "
          "swapped, or match its parts one by one",
          node->name()));
    }
    PatternMatch found = search.match();
    const bool overlaps =
        std::any_of(found.calls.begin(), found.calls.end(),
                    [&](const auto& entry) { return covered.count(entry.second) != 0; });
    if (overlaps && !options.overlapping) continue;
    for (const auto& [name, call] : found.calls) covered.insert(call);
    matches.push_back(std::move(found));
  }
  return matches;
}

}  // namespace fxq
