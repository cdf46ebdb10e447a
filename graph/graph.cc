// The node list, names and the index by op. Uses are in graph_edit.cc.
#include "fxq/graph/graph.h"

#include <algorithm>

#include "fxq/base/check.h"
#include "fxq/graph/naming.h"

namespace fxq {
namespace {

constexpr int64_t kOrderGap = int64_t{1} << 20;

}  // namespace

InsertionPoint::InsertionPoint(Graph& graph, Node* before) : graph_(graph), saved_(graph.before_) {
  graph_.before_ = before;
}

InsertionPoint::~InsertionPoint() { graph_.before_ = saved_; }

InsertionPoint InsertionPoint::after(Node* node) { return {*node->graph(), node->next()}; }

Graph::Graph() = default;
Graph::~Graph() = default;

Node* Graph::find(std::string_view name) const {
  auto it = by_name_.find(std::string(name));
  return it == by_name_.end() ? nullptr : it->second.get();
}

std::vector<Node*> Graph::find_all(OpId op) const {
  auto it = by_op_.find(op);
  return it == by_op_.end() ? std::vector<Node*>() : it->second;
}

std::vector<Node*> Graph::placeholders() const {
  std::vector<Node*> result;
  for (Node* node : nodes()) {
    if (node->is(NodeKind::kPlaceholder)) result.push_back(node);
  }
  return result;
}

Node* Graph::output_node() const { return last_ && last_->is(NodeKind::kOutput) ? last_ : nullptr; }

std::string Graph::unique_name(std::string_view hint) {
  std::string name = identifier(hint);
  if (by_name_.find(name) == by_name_.end()) return name;
  const std::string stem = split_suffix(name).first;
  int& suffix = next_suffix_[stem];
  std::string candidate;
  do {
    candidate = stem + "_" + std::to_string(++suffix);
  } while (by_name_.find(candidate) != by_name_.end());
  return candidate;
}

Node* Graph::create(NodeKind kind, std::string target, Callee callee, std::vector<Argument> args,
                    Kwargs kwargs, std::string_view name_hint) {
  std::unique_ptr<Node> owned(new Node);
  Node* node = owned.get();
  node->graph_ = this;
  node->kind_ = kind;
  node->name_ = unique_name(name_hint.empty() ? std::string_view(target) : name_hint);
  node->target_ = std::move(target);
  node->op_ = callee.op;
  node->schema_ = callee.schema;
  node->args_ = std::move(args);
  node->kwargs_ = std::move(kwargs);
  by_name_.emplace(node->name_, std::move(owned));
  if (node->op_ != OpId::kNone) by_op_[node->op_].push_back(node);
  link(node, before_);
  attach_uses(node);
  return node;
}

Node* Graph::placeholder(std::string_view name, Type type) {
  Node* node = create(NodeKind::kPlaceholder, std::string(name), {}, {}, {}, name);
  node->type = std::move(type);
  return node;
}

Node* Graph::get_attr(std::string_view path, std::string_view name_hint) {
  return create(NodeKind::kGetAttr, std::string(path), {}, {}, {}, name_hint);
}

Node* Graph::call_function(std::string_view target, std::vector<Argument> args, Kwargs kwargs,
                           std::string_view name_hint) {
  return create(NodeKind::kCallFunction, std::string(target), find_callee(target), std::move(args),
                std::move(kwargs), name_hint);
}

Node* Graph::call_op(OpId op, std::vector<Argument> args, Kwargs kwargs,
                     std::string_view name_hint) {
  FXQ_CHECK(op != OpId::kNone && !op_def(op).overloads.empty(), "call_op of an op without schema");
  return create(NodeKind::kCallFunction, std::string(op_def(op).overloads[0]),
                {op, canonical_schema(op)}, std::move(args), std::move(kwargs),
                name_hint.empty() ? op_def(op).name : name_hint);
}

Node* Graph::call_module(std::string_view path, Callee callee, std::vector<Argument> args,
                         Kwargs kwargs, std::string_view name_hint) {
  return create(NodeKind::kCallModule, std::string(path), callee, std::move(args),
                std::move(kwargs), name_hint);
}

Node* Graph::call_method(std::string_view method, std::vector<Argument> args, Kwargs kwargs,
                         std::string_view name_hint) {
  return create(NodeKind::kCallMethod, std::string(method), {}, std::move(args), std::move(kwargs),
                name_hint);
}

Node* Graph::output(Argument value) {
  return create(NodeKind::kOutput, "output", {}, {std::move(value)}, {}, "output");
}

Node* Graph::node_copy(const Node* node, const std::function<Argument(Node*)>& map) {
  std::vector<Argument> args;
  for (const Argument& argument : node->args_) args.push_back(argument.map_nodes(map));
  Kwargs kwargs;
  for (const auto& [key, value] : node->kwargs_) kwargs.emplace_back(key, value.map_nodes(map));
  Node* copy = create(node->kind_, node->target_, {node->op_, node->schema_}, std::move(args),
                      std::move(kwargs), node->name_);
  copy->type = node->type;
  copy->owner = node->owner;
  copy->source = node->source;
  copy->origins = node->origins;
  copy->device = node->device;
  copy->follows_mode = node->follows_mode;
  return copy;
}

Argument Graph::graph_copy(const Graph& other, std::unordered_map<const Node*, Argument>& values) {
  auto map = [&](Node* node) { return values.at(node); };
  for (const Node* node : other.nodes()) {
    if (node->is(NodeKind::kOutput)) return node->args_[0].map_nodes(map);
    if (values.count(node) == 0) values[node] = node_copy(node, map);
  }
  return {};
}

void Graph::copy_from(const Graph& other) {
  std::unordered_map<const Node*, Node*> copies;
  for (Node* node : other.nodes()) {
    copies[node] = node_copy(node, [&](Node* old) { return Argument(copies.at(old)); });
  }
}

void Graph::link(Node* node, Node* before) {
  node->next_ = before;
  node->prev_ = before ? before->prev_ : last_;
  (node->prev_ ? node->prev_->next_ : first_) = node;
  (before ? before->prev_ : last_) = node;
  const int64_t low = node->prev_ ? node->prev_->order_ : 0;
  if (!before) {
    node->order_ = low + kOrderGap;
  } else if (before->order_ - low > 1) {
    node->order_ = low + (before->order_ - low) / 2;
  } else {
    renumber();
  }
}

void Graph::renumber() {
  int64_t order = 0;
  for (Node* node = first_; node; node = node->next_) node->order_ = order += kOrderGap;
}

void Graph::unlink(Node* node) {
  (node->prev_ ? node->prev_->next_ : first_) = node->next_;
  (node->next_ ? node->next_->prev_ : last_) = node->prev_;
  if (before_ == node) before_ = node->next_;
  node->prev_ = node->next_ = nullptr;
}

void Graph::move_before(Node* node, Node* position) {
  if (position == node) return;
  unlink(node);
  link(node, position);
}

void Graph::move_after(Node* node, Node* position) {
  if (position != node) move_before(node, position->next_);
}

absl::Status Graph::erase(Node* node) {
  if (!node->users_.empty()) {
    std::string users;
    for (const Node* user : node->users_) users += " %" + user->name_;
    return absl::FailedPreconditionError("cannot erase %" + node->name_ + ": it is still used by" +
                                         users);
  }
  detach_uses(node);
  unlink(node);
  if (node->op_ != OpId::kNone) {
    std::vector<Node*>& same = by_op_[node->op_];
    same.erase(std::find(same.begin(), same.end(), node));
  }
  by_name_.erase(std::string(node->name_));
  return absl::OkStatus();
}

void Graph::rename(Node* node, std::string_view name) {
  if (node->name_ == name) return;
  auto handle = by_name_.extract(node->name_);
  node->name_ = unique_name(name);
  handle.key() = node->name_;
  by_name_.insert(std::move(handle));
}

void Graph::take_name(Node* node, Node* dead) {
  std::string name = dead->name_;
  rename(dead, name + "_replaced");
  rename(node, name);
}

}  // namespace fxq
