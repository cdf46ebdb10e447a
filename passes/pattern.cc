// Building and printing patterns. Matching is in match.cc.
#include "fxq/passes/pattern.h"

#include <fmt/format.h>

#include <algorithm>

#include "fxq/base/check.h"

namespace fxq {
namespace {

std::string wildcard_name(const PatNode* node, std::vector<const PatNode*>& wildcards) {
  auto it = std::find(wildcards.begin(), wildcards.end(), node);
  if (it == wildcards.end()) it = wildcards.insert(it, node);
  const auto index = static_cast<int>(it - wildcards.begin());
  return index < 26 ? std::string(1, static_cast<char>('a' + index)) : fmt::format("v{}", index);
}

bool is_activation_row(const OpDef& def) { return def.is_activation; }
bool is_weighted_row(const OpDef& def) { return def.rule == Rule::kWeighted; }

}  // namespace

Pat::Pat() : node_(std::make_shared<PatNode>()) {}

Pat Pat::changed(const std::function<void(PatNode&)>& change) const {
  auto node = std::make_shared<PatNode>(*node_);
  change(*node);
  return Pat(std::move(node));
}

Pat Pat::attr(std::string name, Argument value) const {
  return changed([&](PatNode& node) { node.attrs.emplace_back(name, value); });
}

Pat Pat::any_attr(std::string name) const {
  return changed([&](PatNode& node) { node.free_attrs.push_back(name); });
}

Pat Pat::any_attrs() const {
  return changed([](PatNode& node) { node.any_attrs = true; });
}

Pat Pat::many_users() const {
  return changed([](PatNode& node) { node.many_users = true; });
}

Pat Pat::where(std::string condition, Predicate predicate) const {
  return changed([&](PatNode& node) { node.conditions.emplace_back(condition, predicate); });
}

Pat Pat::call(std::string label, OpPredicate accepts, std::vector<Pat> operands) {
  auto node = std::make_shared<PatNode>();
  node->is_wildcard = false;
  node->label = std::move(label);
  node->accepts = accepts;
  node->operands = std::move(operands);
  return Pat(std::move(node));
}

Pat Pat::call(OpId op, std::vector<Pat> operands) {
  FXQ_CHECK(op != OpId::kNone, "a pattern of no op");
  return Pat::call(std::string(op_def(op).name), nullptr, std::move(operands))
      .changed([&](PatNode& node) { node.op = op; });
}

bool PatNode::may_be(OpId id) const {
  if (is_wildcard || id == OpId::kNone) return false;
  return accepts ? accepts(op_def(id)) : id == op;
}

int pattern_size(const Pat& pattern) {
  if (pattern.node().is_wildcard) return 0;
  int size = 1;
  for (const Pat& operand : pattern.node().operands) size += pattern_size(operand);
  return size;
}

int pattern_depth(const Pat& pattern) {
  if (pattern.node().is_wildcard) return 0;
  int depth = 0;
  for (const Pat& operand : pattern.node().operands) {
    depth = std::max(depth, pattern_depth(operand));
  }
  return depth + 1;
}

std::string to_string(const Pat& pattern, std::vector<const PatNode*>& wildcards) {
  const PatNode& node = pattern.node();
  if (node.is_wildcard) return wildcard_name(&node, wildcards);
  std::string inside;
  auto item = [&](const std::string& text) { inside += (inside.empty() ? "" : ", ") + text; };
  for (const Pat& operand : node.operands) item(to_string(operand, wildcards));
  for (const auto& [name, value] : node.attrs) item(name + "=" + value.to_string());
  for (const std::string& name : node.free_attrs) item(name + "=*");
  std::string text = node.label + "(" + inside + ")";
  for (const auto& [condition, predicate] : node.conditions) text += "[" + condition + "]";
  return text;
}

namespace pat {

Pat Weighted(const Pat& x) { return Pat::call("weighted", is_weighted_row, {x}).any_attrs(); }

Pat Activation(const Pat& x) { return Pat::call("activation", is_activation_row, {x}); }

}  // namespace pat
}  // namespace fxq
