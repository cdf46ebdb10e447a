// Where: right after the last call of the match. Everything outside that uses an anchor and stands
// above that place moves below it first; if the match needs one of those values, the replacement
// would need its own result, and the match is left alone.
#include "fxq/passes/replace_pattern.h"

#include <ATen/core/Tensor.h>
#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "fxq/base/status.h"
#include "fxq/graph/leaf_module.h"
#include "fxq/graph/text.h"
#include "fxq/passes/effects.h"

namespace fxq {
namespace {

std::vector<Argument> returned(const GraphModule& gm) {
  const Argument& value = gm.graph().output_node()->args()[0];
  const std::vector<Argument>* items = value.items();
  return items ? *items : std::vector<Argument>{value};
}

absl::Status check_pair(const GraphModule& pattern, const GraphModule& replacement) {
  if (!replacement.graph().output_node()) {
    return absl::InvalidArgumentError("the replacement returns nothing");
  }
  const size_t inputs = pattern.graph().placeholders().size();
  const size_t given = replacement.graph().placeholders().size();
  if (inputs != given) {
    return absl::InvalidArgumentError(fmt::format(
        "the pattern has {} inputs and the replacement {}; they belong together by position, so "
        "give both the same, used or not",
        inputs, given));
  }
  const size_t values = returned(pattern).size();
  if (values != returned(replacement).size()) {
    return absl::InvalidArgumentError(
        fmt::format("the pattern returns {} values and the replacement {}", values,
                    returned(replacement).size()));
  }
  return absl::OkStatus();
}

class Replacer {
 public:
  Replacer(GraphModule& gm, const GraphModule& pattern) : gm_(gm), pattern_(pattern) {}

  // What the replacement needs and the match does not have.
  absl::Status check(const PatternMatch& match, const GraphModule& replacement) const {
    const std::vector<Node*> formals = pattern_.graph().placeholders();
    const std::vector<Node*> names = replacement.graph().placeholders();
    for (size_t i = 0; i < formals.size(); ++i) {
      if (match.inputs.count(formals[i]->name()) != 0 || names[i]->users().empty()) continue;
      return absl::InvalidArgumentError(
          fmt::format("the replacement uses %{}, but the pattern does not use its %{}, so nothing "
                      "is bound to it",
                      names[i]->name(), formals[i]->name()));
    }
    for (const Node* node : replacement.graph().nodes()) {
      const bool captured = node->is(NodeKind::kCallModule) && pattern_.module(node->target());
      if (!captured || match.modules.count(node->target()) != 0) continue;
      return absl::InvalidArgumentError(
          fmt::format("the replacement calls module '{}', which stands for the matched one, but at "
                      "%{} a function call was matched",
                      node->target(), match.anchors[0]->name()));
    }
    return absl::OkStatus();
  }

  // nullopt if the match cannot be replaced: a note says why.
  absl::StatusOr<std::optional<Replacement>> run(const PatternMatch& match,
                                                 const GraphModule& replacement) {
    const std::vector<Node*> calls = sorted_calls(match);
    std::vector<Node*> late;
    const std::string obstacle = users_to_move(match, calls, late);
    if (!obstacle.empty()) {
      gm_.notes.push_back(fmt::format("pattern at %{}: {}", match.anchors[0]->name(), obstacle));
      return std::optional<Replacement>();
    }
    FXQ_RETURN_IF_ERROR(check(match, replacement));
    bind_inputs(match, replacement, calls.front());
    Node* below = calls.back()->next();
    for (Node* node : late) gm_.graph().move_before(node, below);
    if (!late.empty()) below = late.front();
    Replacement made;
    copy_nodes(match, replacement, below, made);
    move_uses(match, replacement, calls, made);
    return std::optional<Replacement>(std::move(made));
  }

  // Erases what was replaced, and the get_attrs and modules that nothing else reads.
  absl::Status finish() {
    if (dead_.empty()) return absl::OkStatus();
    for (Node* node : gm_.graph().nodes()) {
      const bool unread = node->is(NodeKind::kGetAttr) && node->users().empty();
      if (unread) dead_.push_back(node);
    }
    for (Node* node : dead_) FXQ_RETURN_IF_ERROR(gm_.graph().erase(node));
    gm_.remove_unused();
    return absl::OkStatus();
  }

 private:
  static std::vector<Node*> sorted_calls(const PatternMatch& match) {
    std::set<Node*> unique;
    for (const auto& [name, node] : match.calls) unique.insert(node);
    std::vector<Node*> calls(unique.begin(), unique.end());
    std::sort(calls.begin(), calls.end(), [](Node* a, Node* b) { return a->is_before(b); });
    return calls;
  }

  // Nodes between the calls of the match that use its results.
  static std::string users_to_move(const PatternMatch& match, const std::vector<Node*>& calls,
                                   std::vector<Node*>& late) {
    std::unordered_set<const Node*> after(match.anchors.begin(), match.anchors.end());
    const std::unordered_set<const Node*> own(calls.begin(), calls.end());
    for (Node* node = calls.front(); node != calls.back()->next(); node = node->next()) {
      const bool depends = std::any_of(node->inputs().begin(), node->inputs().end(), [&](Node* in) {
        return after.count(in) != 0 && !(own.count(node) != 0 && own.count(in) != 0);
      });
      if (!depends) continue;
      if (own.count(node) != 0) {
        return fmt::format("%{} needs a value that is computed from the match's own result",
                           node->name());
      }
      after.insert(node);
      late.push_back(node);
    }
    return "";
  }

  // A value that an earlier replacement took away is what stands in its place now.
  Argument current(const Argument& value) const {
    return value.map_nodes([&](Node* node) {
      auto it = replaced_.find(node);
      return it == replaced_.end() ? Argument(node) : current(it->second);
    });
  }

  void bind_inputs(const PatternMatch& match, const GraphModule& replacement, Node* above) {
    values_.clear();
    const std::vector<Node*> formals = pattern_.graph().placeholders();
    const std::vector<Node*> names = replacement.graph().placeholders();
    for (size_t i = 0; i < formals.size(); ++i) {
      if (names[i]->users().empty()) continue;
      const std::string& name = formals[i]->name();
      auto tensor = match.tensors.find(name);
      values_[names[i]] = tensor == match.tensors.end() ? current(match.inputs.at(name))
                                                        : read_tensor(tensor->second, above);
    }
  }

  // A module's tensor becomes one of the graph's, under its own path.
  Node* read_tensor(const std::string& path, Node* above) {
    const size_t dot = path.rfind('.');
    const auto module = gm_.module(path.substr(0, dot));
    for (const auto& [name, tensor] : module->tensors()) {
      if (name == path.substr(dot + 1)) gm_.set_tensor(path, tensor);
    }
    const InsertionPoint here(gm_.graph(), above);
    return gm_.graph().get_attr(path);
  }

  void copy_nodes(const PatternMatch& match, const GraphModule& replacement, Node* below,
                  Replacement& made) {
    const InsertionPoint here(gm_.graph(), below);
    std::map<std::string, std::string> paths;
    for (const Node* node : replacement.graph().nodes()) {
      if (node->is(NodeKind::kPlaceholder) || node->is(NodeKind::kOutput)) continue;
      Node* copy = copy_node(match, replacement, *node, paths);
      if (copy->source.empty()) copy->source = match.anchors[0]->source;
      if (copy->owner.class_name.empty()) copy->owner = match.anchors[0]->owner;
      values_[node] = copy;
      made.added.push_back(copy);
    }
  }

  // With the module or tensor that it names. `paths`: where those of this replacement are by now.
  Node* copy_node(const PatternMatch& match, const GraphModule& replacement, const Node& node,
                  std::map<std::string, std::string>& paths) {
    std::string& path = paths[node.target()];
    if (node.is(NodeKind::kGetAttr)) {
      if (path.empty()) {
        path = gm_.unique_path(node.target());
        gm_.set_tensor(path, replacement.tensor(node.target()));
      }
      return gm_.graph().get_attr(path, node.name());
    }
    Node* copy = gm_.graph().node_copy(&node, [&](Node* input) { return values_.at(input); });
    if (!node.is(NodeKind::kCallModule)) return copy;
    if (path.empty() && pattern_.module(node.target())) path = match.modules.at(node.target());
    if (path.empty()) {
      path = gm_.unique_path(node.target());
      const auto leaf = replacement.module(node.target())->clone_leaf();
      leaf->train(gm_.is_training());
      gm_.set_module(path, leaf);
    }
    const auto module = gm_.module(path);
    gm_.graph().set_target(copy, path, module->callee());
    copy->owner = {path, module->class_name()};
    return copy;
  }

  void move_uses(const PatternMatch& match, const GraphModule& replacement,
                 const std::vector<Node*>& calls, Replacement& made) {
    std::unordered_set<const Node*> inside(calls.begin(), calls.end());
    inside.insert(made.added.begin(), made.added.end());
    const std::vector<Argument> from = returned(pattern_);
    const std::vector<Argument> to = returned(replacement);
    std::unordered_set<const Node*> named;
    for (size_t i = 0; i < from.size(); ++i) {
      if (!from[i].node()) continue;
      Node* anchor = match.calls.at(from[i].node()->name());
      const Argument result = to[i].map_nodes([&](Node* node) { return values_.at(node); });
      if (!replaced_.emplace(anchor, result).second) continue;
      move_uses_of(anchor, result, inside);
      made.results.push_back(result.node());
      const bool is_new = result.node() && inside.count(result.node()) != 0;
      if (is_new && named.insert(result.node()).second) inherit(*anchor, result.node());
    }
    for (Node* call : calls) {
      gm_.graph().set_args(call, {});
      gm_.graph().set_kwargs(call, {});
      dead_.push_back(call);
    }
  }

  void move_uses_of(Node* anchor, const Argument& result,
                    const std::unordered_set<const Node*>& inside) {
    Graph& graph = gm_.graph();
    auto map = [&](Node* node) { return node == anchor ? result : Argument(node); };
    for (Node* user : std::vector<Node*>(anchor->users().begin(), anchor->users().end())) {
      if (inside.count(user) != 0) continue;
      std::vector<Argument> args;
      for (const Argument& argument : user->args()) args.push_back(argument.map_nodes(map));
      Kwargs kwargs;
      for (const auto& [key, value] : user->kwargs())
        kwargs.emplace_back(key, value.map_nodes(map));
      graph.set_args(user, std::move(args));
      graph.set_kwargs(user, std::move(kwargs));
    }
  }

  void inherit(Node& anchor, Node* heir) {
    gm_.graph().take_name(heir, &anchor);
    if (heir->type == Type()) heir->type = anchor.type;
    heir->source = anchor.source;
    heir->origins = anchor.origins;
    heir->device = anchor.device;
  }

  GraphModule& gm_;
  const GraphModule& pattern_;
  std::unordered_map<const Node*, Argument> values_;    // of the replacement's nodes, this time
  std::unordered_map<const Node*, Argument> replaced_;  // what stands for dead anchors
  std::vector<Node*> dead_;  // without uses; kept until the end, so that no pointer is used twice
};

absl::Status replace_all(GraphModule& gm, const GraphModule& pattern, Replacer& replacer,
                         const std::vector<PatternMatch>& matches, const GraphModule* fixed,
                         const ReplaceOptions& options, std::vector<Replacement>& result) {
  for (const PatternMatch& match : matches) {
    std::optional<GraphModule> made;
    if (options.replacement) {
      FXQ_ASSIGN_OR_RETURN(made, options.replacement(gm, match));
      FXQ_RETURN_IF_ERROR(check_pair(pattern, *made));
    }
    FXQ_ASSIGN_OR_RETURN(std::optional<Replacement> done,
                         replacer.run(match, made ? *made : *fixed));
    if (done) result.push_back(*std::move(done));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Replacement>> replace(GraphModule& gm, const GraphModule& pattern,
                                                 const GraphModule* fixed,
                                                 const ReplaceOptions& options) {
  if (fixed) FXQ_RETURN_IF_ERROR(check_pair(pattern, *fixed));
  MatchOptions apart = options.match;
  apart.overlapping = false;
  FXQ_ASSIGN_OR_RETURN(const std::vector<PatternMatch> matches,
                       find_matches(gm, pattern, apart, &gm.notes));
  Replacer replacer(gm, pattern);
  for (const PatternMatch& match : matches) {
    if (fixed) FXQ_RETURN_IF_ERROR(replacer.check(match, *fixed));
  }
  std::vector<Replacement> result;
  const absl::Status replaced = replace_all(gm, pattern, replacer, matches, fixed, options, result);
  FXQ_RETURN_IF_ERROR(replacer.finish());
  FXQ_RETURN_IF_ERROR(replaced);
  if (!options.on_replaced) return result;
  for (const Replacement& done : result) FXQ_RETURN_IF_ERROR(options.on_replaced(gm, done));
  return result;
}

}  // namespace

absl::StatusOr<std::vector<Replacement>> replace_pattern(GraphModule& gm,
                                                         const GraphModule& pattern,
                                                         const GraphModule& replacement,
                                                         const ReplaceOptions& options) {
  return replace(gm, pattern, &replacement, options);
}

absl::StatusOr<std::vector<Replacement>> replace_pattern(GraphModule& gm, std::string_view pattern,
                                                         std::string_view replacement,
                                                         const ReplaceOptions& options) {
  auto read = [](std::string_view text, const char* which) -> absl::StatusOr<GraphModule> {
    auto parsed = parse_text(text);
    if (parsed.ok()) return parsed;
    return absl::InvalidArgumentError(
        fmt::format("the {}: {}", which, std::string(parsed.status().message())));
  };
  FXQ_ASSIGN_OR_RETURN(const GraphModule before, read(pattern, "pattern"));
  FXQ_ASSIGN_OR_RETURN(const GraphModule after, read(replacement, "replacement"));
  return replace(gm, before, &after, options);
}

absl::StatusOr<std::vector<Replacement>> replace_pattern(GraphModule& gm,
                                                         const GraphModule& pattern,
                                                         const ReplaceOptions& options) {
  if (!options.replacement) {
    return absl::InvalidArgumentError(
        "replace_pattern without a replacement needs ReplaceOptions::replacement");
  }
  return replace(gm, pattern, nullptr, options);
}

absl::StatusOr<RewriteStats> replace_pattern(GraphModule& gm, const Pat& before,
                                             const Action& after) {
  return rewrite(gm, RuleSet{{"pattern", before, after}});
}

}  // namespace fxq
