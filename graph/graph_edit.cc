// Uses: every argument edit goes through here, so inputs and users always mirror the arguments.
#include <algorithm>

#include "fxq/base/check.h"
#include "fxq/graph/graph.h"

namespace fxq {
namespace {

bool contains(const std::vector<Node*>& nodes, const Node* node) {
  return std::find(nodes.begin(), nodes.end(), node) != nodes.end();
}

}  // namespace

void Graph::attach_uses(Node* node) {
  auto use = [&](Node* input) {
    FXQ_CHECK(input->graph_ == this,
              "%" + node->name_ + " uses %" + input->name_ + ", which belongs to another graph");
    if (contains(node->inputs_, input)) return;
    node->inputs_.push_back(input);
    input->users_.push_back(node);
  };
  for (const Argument& argument : node->args_) argument.for_each_node(use);
  for (const auto& [key, value] : node->kwargs_) value.for_each_node(use);
}

void Graph::detach_uses(Node* node) {
  for (Node* input : node->inputs_) {
    auto& users = input->users_;
    users.erase(std::find(users.begin(), users.end(), node));
  }
  node->inputs_.clear();
}

void Graph::set_args(Node* node, std::vector<Argument> args) {
  detach_uses(node);
  node->args_ = std::move(args);
  attach_uses(node);
}

void Graph::set_arg(Node* node, size_t index, Argument value) {
  std::vector<Argument> args = node->args_;
  FXQ_CHECK(index <= args.size(), "%" + node->name_ + " has too few arguments for set_arg");
  if (index == args.size()) args.emplace_back();
  args[index] = std::move(value);
  set_args(node, std::move(args));
}

void Graph::set_kwargs(Node* node, Kwargs kwargs) {
  detach_uses(node);
  node->kwargs_ = std::move(kwargs);
  attach_uses(node);
}

void Graph::set_kwarg(Node* node, std::string_view key, Argument value) {
  Kwargs kwargs = node->kwargs_;
  auto it = std::find_if(kwargs.begin(), kwargs.end(),
                         [&](const auto& entry) { return entry.first == key; });
  if (value.is_none()) {
    if (it != kwargs.end()) kwargs.erase(it);
  } else if (it != kwargs.end()) {
    it->second = std::move(value);
  } else {
    kwargs.emplace_back(std::string(key), std::move(value));
  }
  set_kwargs(node, std::move(kwargs));
}

void Graph::set_target(Node* node, std::string_view target, Callee callee) {
  FXQ_CHECK(node->is_call(), "set_target of %" + node->name_ + ", which calls nothing");
  if (node->op_ != callee.op) {
    if (node->op_ != OpId::kNone) {
      std::vector<Node*>& same = by_op_[node->op_];
      same.erase(std::find(same.begin(), same.end(), node));
    }
    if (callee.op != OpId::kNone) by_op_[callee.op].push_back(node);
  }
  node->target_ = std::string(target);
  node->op_ = callee.op;
  node->schema_ = callee.schema;
}

void Graph::replace_input(Node* node, Node* from, Node* to) {
  auto map = [&](Node* input) { return Argument(input == from ? to : input); };
  detach_uses(node);
  for (Argument& argument : node->args_) argument = argument.map_nodes(map);
  for (auto& [key, value] : node->kwargs_) value = value.map_nodes(map);
  attach_uses(node);
}

std::vector<Node*> Graph::replace_all_uses(Node* from, Node* to, const Node* except) {
  std::vector<Node*> changed;
  for (Node* user : std::vector<Node*>(from->users_)) {
    if (user == except) continue;
    replace_input(user, from, to);
    changed.push_back(user);
  }
  return changed;
}

}  // namespace fxq
