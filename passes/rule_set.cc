// Rules as data: their order, their index by root op, and how they print.
#include "fxq/passes/rule_set.h"

#include <fmt/format.h>

#include <algorithm>

#include "fxq/base/check.h"

namespace fxq {
namespace {

void check_rule(const RewriteRule& rule) {
  FXQ_CHECK(!rule.before.node().is_wildcard, "rule " + rule.name + " matches any value");
  std::vector<const PatNode*> known;
  to_string(rule.before, known);
  const size_t count = known.size();
  rule.after.print(known);
  FXQ_CHECK(known.size() == count,
            "rule " + rule.name + ": its right side has a wildcard that its left side lacks");
}

}  // namespace

RuleSet::RuleSet(std::initializer_list<RewriteRule> rules) : rules_(rules) {
  std::stable_sort(rules_.begin(), rules_.end(), [](const RewriteRule& a, const RewriteRule& b) {
    return pattern_size(a.before) > pattern_size(b.before);
  });
  by_root_.resize(op_table().size() + 1);
  for (const RewriteRule& rule : rules_) {
    check_rule(rule);
    depth_ = std::max(depth_, pattern_depth(rule.before));
    for (const OpDef& def : op_table()) {
      if (rule.before.node().may_be(def.id)) {
        by_root_[static_cast<size_t>(def.id)].push_back(&rule);
      }
    }
  }
}

const std::vector<const RewriteRule*>& RuleSet::rooted_at(OpId op) const {
  static const std::vector<const RewriteRule*> none;
  const auto index = static_cast<size_t>(op);
  return index < by_root_.size() ? by_root_[index] : none;  // registered after the rules were made
}

std::string RuleSet::to_string() const {
  std::string text;
  for (const RewriteRule& rule : rules_) {
    std::vector<const PatNode*> wildcards;
    const std::string before = fxq::to_string(rule.before, wildcards);
    text += fmt::format("{}: {} -> {}\n", rule.name, before, rule.after.print(wildcards));
  }
  return text;
}

}  // namespace fxq
