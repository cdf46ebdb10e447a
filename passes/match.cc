// Backtracking over the two operand orders of commutative calls; everything else is decided node by
// node. A failed attempt is repeated without the conditions to explain what was missing.
#include "fxq/passes/match.h"

#include <fmt/format.h>

#include <algorithm>

#include "fxq/graph/view.h"

namespace fxq {
namespace {

class Matcher {
 public:
  Matcher(const GraphModule& gm, Node* root, bool explain)
      : gm_(gm), root_(root), explain_(explain) {}

  bool run(const Pat& pattern) { return fits(pattern, root_) && !captures_inner(); }

  Match take() { return {root_, std::move(bound_)}; }
  const std::string& missing() const { return missing_; }

 private:
  bool fits(const Pat& pattern, Node* node) {
    const PatNode& want = pattern.node();
    for (const auto& [known, value] : bound_) {
      if (known == &want) return value == node;
    }
    if (want.is_wildcard ? !holds(unmet_condition(want, *node)) : !fits_call(want, node))
      return false;
    bound_.emplace_back(&want, node);
    return true;
  }

  bool fits_call(const PatNode& want, Node* node) {
    if (!node->is_call() || !want.may_be(node->op())) return false;
    if (node->kwarg(kEpilogueAdd) || node->kwarg(kEpilogueActivation)) return false;
    const OpView view(gm_, node);
    if (view.operands().size() != want.operands.size()) return false;
    if (!holds(unmet(want, view))) return false;
    if (op_def(node->op()).commutes && want.operands.size() == 2) return fits_either(want, view);
    for (size_t i = 0; i < want.operands.size(); ++i) {
      if (!fits(want.operands[i], view.operand(i))) return false;
    }
    return true;
  }

  bool fits_either(const PatNode& want, const OpView& view) {
    Node* first = view.operand(0);
    Node* second = view.operand(1);
    const bool call0 = !want.operands[0].node().is_wildcard;
    const bool call1 = !want.operands[1].node().is_wildcard;
    if (call0 != call1 && first != second) {
      Node*& for_call = call0 ? first : second;
      Node*& other = call0 ? second : first;
      if (for_call->is_before(other)) std::swap(for_call, other);
    }
    return fits_both(want, first, second) || fits_both(want, second, first);
  }

  bool fits_both(const PatNode& want, Node* first, Node* second) {
    const size_t bound = bound_.size();
    const std::string missing = missing_;
    if (fits(want.operands[0], first) && fits(want.operands[1], second)) return true;
    bound_.resize(bound);
    missing_ = missing;
    return false;
  }

  // What this call lacks, in words; "" if nothing.
  std::string unmet(const PatNode& want, const OpView& view) const {
    const Node* node = view.node();
    if (node != root_ && !want.many_users && node->users().size() != 1) {
      return fmt::format("%{} has {} users", node->name(), node->users().size());
    }
    for (const auto& [name, value] : want.attrs) {
      if (view.attr(name) != value) return wrong_attr(view, name, value.to_string());
    }
    if (!want.any_attrs) {
      for (const std::string& name : view.attr_names()) {
        if (!is_free(want, name) && !view.attr_is_default(name)) {
          return wrong_attr(view, name, "the default");
        }
      }
    }
    return unmet_condition(want, *node);
  }

  std::string unmet_condition(const PatNode& want, const Node& node) const {
    for (const auto& [condition, predicate] : want.conditions) {
      if (!predicate(gm_, node)) return fmt::format("%{}: not {}", node.name(), condition);
    }
    return "";
  }

  static bool is_free(const PatNode& want, const std::string& name) {
    if (std::find(want.free_attrs.begin(), want.free_attrs.end(), name) != want.free_attrs.end()) {
      return true;
    }
    return std::any_of(want.attrs.begin(), want.attrs.end(),
                       [&](const auto& entry) { return entry.first == name; });
  }

  static std::string wrong_attr(const OpView& view, const std::string& name,
                                const std::string& wanted) {
    return fmt::format("{} of %{} is {}, not {}", name, view.node()->name(),
                       view.attr(name).to_string(), wanted);
  }

  bool holds(const std::string& problem) {
    if (problem.empty()) return true;
    if (missing_.empty()) missing_ = problem;
    return explain_;
  }

  // A wildcard stands for a value that the match leaves alone, never for one of its own calls.
  bool captures_inner() const {
    for (const auto& [pattern, node] : bound_) {
      if (!pattern->is_wildcard) continue;
      for (const auto& [other, call] : bound_) {
        if (!other->is_wildcard && call == node) return true;
      }
    }
    return false;
  }

  const GraphModule& gm_;
  Node* root_;
  bool explain_;
  std::vector<std::pair<const PatNode*, Node*>> bound_;
  std::string missing_;
};

}  // namespace

Node* Match::at(const Pat& pattern) const {
  for (const auto& [known, node] : bound) {
    if (known == &pattern.node()) return node;
  }
  return nullptr;
}

std::vector<Node*> Match::calls() const {
  std::vector<Node*> result;
  // A call is bound after its operands.
  for (auto it = bound.rbegin(); it != bound.rend(); ++it) {
    const bool seen = std::find(result.begin(), result.end(), it->second) != result.end();
    if (!it->first->is_wildcard && !seen) result.push_back(it->second);
  }
  return result;
}

Node* Match::activation() const {
  for (Node* node : calls()) {
    if (op_def(node->op()).is_activation) return node;
  }
  return nullptr;
}

std::optional<Match> match(const GraphModule& gm, const Pat& pattern, Node* root) {
  Matcher matcher(gm, root, /*explain=*/false);
  if (!matcher.run(pattern)) return std::nullopt;
  return matcher.take();
}

std::string explain_mismatch(const GraphModule& gm, const Pat& pattern, Node* root) {
  Matcher matcher(gm, root, /*explain=*/true);
  return matcher.run(pattern) ? matcher.missing() : "";
}

}  // namespace fxq
