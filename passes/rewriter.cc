// The work list is a stack, so that sinks come first: relu(add(conv, y)) is seen from the relu
// before the add is seen. After a rewrite its neighbours, and only they, go back on top of the
// stack.
#include "fxq/passes/rewriter.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "fxq/base/status.h"
#include "fxq/passes/effects.h"

namespace fxq {
namespace {

// Rules make graphs simpler: each node can be rewritten a few times only.
constexpr int64_t kMostRewritesPerNode = 100;

class Rewriter final : public RewriteScope {
 public:
  Rewriter(GraphModule& gm, const RuleSet& rules)
      : gm_(gm),
        rules_(rules),
        barriers_(barriers(gm.graph())),
        most_rewrites_(kMostRewritesPerNode * static_cast<int64_t>(gm.graph().size())) {
    for (Node* node : gm.graph().nodes()) {
      push(node);
      count_module(*node, 1);
    }
  }

  absl::StatusOr<RewriteStats> run() {
    while (!stack_.empty()) {
      Node* node = stack_.back();
      stack_.pop_back();
      if (pending_.erase(node) == 0) continue;
      ++stats_.steps;
      FXQ_RETURN_IF_ERROR(visit(node));
    }
    write_notes();
    return stats_;
  }

  int module_uses(const std::string& path) const override {
    auto it = module_uses_.find(path);
    return it == module_uses_.end() ? 0 : it->second;
  }

 private:
  void push(Node* node) {
    pending_.insert(node);
    stack_.push_back(node);
  }

  // A rule that was refused may fit once the node's surroundings have changed: its own call, or a
  // root at most the deepest pattern away. The farthest end on top.
  void push_with_users(Node* node) {
    std::vector<Node*> layer = {node};
    for (int depth = 0; depth <= rules_.depth() && !layer.empty(); ++depth) {
      std::vector<Node*> next;
      for (Node* each : layer) {
        push(each);
        next.insert(next.end(), each->users().begin(), each->users().end());
      }
      layer = std::move(next);
    }
  }

  void count_module(const Node& node, int by) {
    if (node.is(NodeKind::kCallModule)) module_uses_[node.target()] += by;
    if (!node.is(NodeKind::kGetAttr)) return;
    module_uses_[node.target().substr(0, node.target().rfind('.'))] += by;
  }

  absl::Status visit(Node* node) {
    std::vector<std::string>& refusals = refusals_[node->name()];
    refusals.clear();
    for (const RewriteRule* rule : rules_.rooted_at(node->op())) {
      const std::optional<Match> found = match(gm_, rule->before, node);
      const std::string reason =
          found ? refuse(*rule, *found) : explain_mismatch(gm_, rule->before, node);
      if (!reason.empty()) {
        refusals.push_back(fmt::format("{} at %{}: {}", rule->name, node->name(), reason));
      } else if (found) {
        auto& fallen_back = fallbacks_[node->name()];
        fallen_back.insert(fallen_back.end(), refusals.begin(), refusals.end());
        return apply(*rule, *found);
      }
    }
    return absl::OkStatus();
  }

  std::string refuse(const RewriteRule& rule, const Match& found) const {
    for (const Node* call : found.calls()) {
      if (is_impure(*call)) return fmt::format("%{} has effects", call->name());
      if (barrier_between(barriers_, call, found.root)) {
        return fmt::format("an effect stands between %{} and %{}", call->name(),
                           found.root->name());
      }
    }
    return rule.after.refuse(gm_, found, *this);
  }

  absl::Status apply(const RewriteRule& rule, const Match& found) {
    if (stats_.rewrites >= most_rewrites_) {
      return absl::FailedPreconditionError(fmt::format(
          "{} rewrites on {} nodes and no end: rule {} fits its own result, or one that "
          "other rules make of it",
          stats_.rewrites, gm_.graph().size(), rule.name));
    }
    std::vector<std::string> origins = origins_of(found);  // before their names move
    FXQ_ASSIGN_OR_RETURN(Node * result, rule.after.apply(gm_, found));
    ++stats_.rewrites;
    Graph& graph = gm_.graph();
    Node* root = found.root;
    if (result != root) graph.replace_all_uses(root, result, result);
    if (!is_operand(found, result)) {
      if (result != root) inherit(root, result);
      if (origins.size() > 1) result->origins = std::move(origins);
    }
    FXQ_RETURN_IF_ERROR(erase_unused(found, result));
    push_with_users(result);
    return absl::OkStatus();
  }

  // The values of the calls that the rewrite replaces, in program order. One that has other users
  // stays, and stands for itself.
  static std::vector<std::string> origins_of(const Match& found) {
    std::vector<Node*> calls = found.calls();
    std::sort(calls.begin(), calls.end(), [](Node* a, Node* b) { return a->is_before(b); });
    std::vector<std::string> names;
    for (const Node* call : calls) {
      if (call != found.root && call->users().size() != 1) continue;
      names.insert(names.end(), call->origins.begin(), call->origins.end());
      if (call->origins.empty()) names.push_back(call->name());
    }
    return names;
  }

  static bool is_operand(const Match& found, const Node* node) {
    return std::any_of(found.bound.begin(), found.bound.end(), [&](const auto& entry) {
      return entry.first->is_wildcard && entry.second == node;
    });
  }

  // The result is the root's value under the root's name, and belongs where the root did.
  void inherit(Node* root, Node* result) {
    gm_.graph().take_name(result, root);
    result->type = root->type;
    result->owner = root->owner;
    result->source = root->source;
    result->origins = root->origins;
    result->device = root->device;
  }

  absl::Status erase_unused(const Match& found, const Node* result) {
    for (Node* call : found.calls()) {
      if (call == result || !call->users().empty()) continue;
      FXQ_RETURN_IF_ERROR(erase(call));
    }
    return absl::OkStatus();
  }

  absl::Status erase(Node* node) {
    const std::vector<Node*> inputs(node->inputs().begin(), node->inputs().end());
    count_module(*node, -1);
    pending_.erase(node);
    FXQ_RETURN_IF_ERROR(gm_.graph().erase(node));
    for (Node* input : inputs) {
      if (input->is(NodeKind::kGetAttr) && input->users().empty()) {
        FXQ_RETURN_IF_ERROR(erase(input));
      } else if (input->users().size() == 1) {
        push_with_users(input);  // it became single-use, which patterns ask for
      }
    }
    return absl::OkStatus();
  }

  void write_notes() {
    std::unordered_set<std::string> known(gm_.notes.begin(), gm_.notes.end());
    for (const Node* node : gm_.graph().nodes()) {
      for (const auto* source : {&fallbacks_, &refusals_}) {
        auto it = source->find(node->name());
        if (it == source->end()) continue;
        for (const std::string& note : it->second) {
          if (known.insert(note).second) gm_.notes.push_back(note);
        }
      }
    }
  }

  using Notes = std::unordered_map<std::string, std::vector<std::string>>;  // by root's name

  GraphModule& gm_;
  const RuleSet& rules_;
  const std::vector<const Node*> barriers_;
  const int64_t most_rewrites_;
  std::vector<Node*> stack_;
  std::unordered_set<Node*> pending_;  // what the stack holds that is still to do
  std::unordered_map<std::string, int> module_uses_;
  Notes refusals_;   // of the latest visit
  Notes fallbacks_;  // of rules that were tried before one that fitted
  RewriteStats stats_;
};

}  // namespace

absl::StatusOr<RewriteStats> rewrite(GraphModule& gm, const RuleSet& rules) {
  return Rewriter(gm, rules).run();
}

}  // namespace fxq
