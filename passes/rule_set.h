// RuleSet: rewrites "before -> after" as data. Rules are tried longest pattern first, then in the
// order written. A RuleSet owns its rules and prints itself; the rewriter applies it.
//   const Pat x, y, w = Weighted(x);
//   RuleSet{{"add", Add(w, y), w.with(add(y))}, {"silu", Mul(x, Sigmoid(x)), Silu(x)}};
#pragma once

#include <functional>
#include <initializer_list>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "fxq/passes/match.h"

namespace fxq {

// Facts about the whole graph that a rule may ask for without scanning it; kept by the rewriter.
class RewriteScope {
 public:
  virtual ~RewriteScope() = default;
  // Calls of the module at `path`, and get_attrs of its tensors.
  virtual int module_uses(const std::string& path) const = 0;
};

// The right side of a rule.
struct Action {
  // Why it cannot be done here; "" if it can.
  using Refuse = std::function<std::string(const GraphModule& gm, const Match& match,
                                           const RewriteScope& scope)>;
  // Edits the graph so that the returned node computes the root's value, at or before the root. The
  // rewriter then moves uses, name, type and owner over and erases calls that are left without
  // users.
  using Apply = std::function<absl::StatusOr<Node*>(GraphModule& gm, const Match& match)>;
  using Print = std::function<std::string(std::vector<const PatNode*>& wildcards)>;

  Action(Print print, Refuse refuse, Apply apply);
  Action(const Pat& after);  // the calls of a pattern, or one of its wildcards

  Print print;
  Refuse refuse;
  Apply apply;
};

// What Pat::with adds to a call: add(y), activation.
struct ActivationItem {};
inline constexpr ActivationItem activation;  // the op that pat::Activation matched
struct EpilogueItem {
  EpilogueItem(ActivationItem) {}
  explicit EpilogueItem(Pat pattern) : addend(std::move(pattern)) {}
  std::optional<Pat> addend;  // absent: the activation
};
// Fits only if both sides have the same known shape and dtype.
inline EpilogueItem add(const Pat& addend) { return EpilogueItem(addend); }

// The right side of a rule that only explains: "weighted_twice at %sum: " + why.
Action refuse(std::string why);

struct RewriteRule {
  std::string name;
  Pat before;
  Action after;
};

class RuleSet {
 public:
  RuleSet(std::initializer_list<RewriteRule> rules);

  const std::vector<RewriteRule>& rules() const { return rules_; }  // in the order of trying
  // Those whose root may be a call of `op`, in the order of trying.
  const std::vector<const RewriteRule*>& rooted_at(OpId op) const;
  int depth() const { return depth_; }  // of the deepest pattern
  // One line per rule: "add: add(weighted(a), b) -> weighted(a) + b".
  std::string to_string() const;

  RuleSet(const RuleSet&) = delete;
  RuleSet& operator=(const RuleSet&) = delete;

 private:
  std::vector<RewriteRule> rules_;
  std::vector<std::vector<const RewriteRule*>> by_root_;  // by OpId
  int depth_ = 0;
};

}  // namespace fxq
