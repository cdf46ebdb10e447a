// Broken: `%b = relu(%a)` above `%a = ...`  ->  Internal: "%b uses %a, which stands after it"
#include "fxq/graph/verifier.h"

#include <ATen/core/Tensor.h>
#include <fmt/format.h>

#include <unordered_map>
#include <unordered_set>

#include "fxq/base/nearest.h"
#include "fxq/graph/call_check.h"
#include "fxq/graph/leaf_module.h"
#include "fxq/graph/naming.h"
#include "fxq/graph/problems.h"

namespace fxq {
namespace {

class Verifier {
 public:
  explicit Verifier(const GraphModule& gm) : gm_(gm) {}

  absl::Status run() {
    for (const Node* node : gm_.graph().nodes()) {
      if (!seen_.insert(node).second || seen_.size() > gm_.graph().size()) {
        fault(*node, "the list of nodes does not end");
        return result();
      }
      check_name(*node);
      check_inputs(*node);
      check_target(*node);
      for (const std::string& text : check_call(gm_, *node)) fault(*node, text);
      for (const std::string& text : check_type(node->type)) fault(*node, text);
      by_op_[node->op()].insert(node);
    }
    if (seen_.size() != gm_.graph().size()) {
      problems_.add(fmt::format("{} nodes in program order, {} in the graph", seen_.size(),
                                gm_.graph().size()));
    }
    check_users();
    check_output();
    check_index();
    check_modules();
    return result();
  }

 private:
  void fault(const Node& node, const std::string& text) {
    std::string where =
        fmt::format("%{} ({} {})", node.name(), kind_name(node.kind()), node.target());
    if (!node.source.empty()) where += " at " + node.source;
    problems_.add(where + ": " + text);
  }

  absl::Status result() const {
    return problems_.status(absl::StatusCode::kInternal, "the graph is broken:");
  }

  void check_name(const Node& node) {
    if (gm_.graph().find(node.name()) != &node) fault(node, "its name leads to another node");
    if (identifier(node.name()) != node.name()) fault(node, "its name is no identifier");
  }

  // Every node an argument names, exactly, and all of them above.
  void check_inputs(const Node& node) {
    std::unordered_set<const Node*> named;
    auto visit = [&](const Node* input) { named.insert(input); };
    for (const Argument& argument : node.args()) argument.for_each_node(visit);
    for (const auto& [key, value] : node.kwargs()) value.for_each_node(visit);
    if (named.size() != node.inputs().size())
      fault(node, "its inputs are not its arguments' nodes");
    for (const Node* input : node.inputs()) {
      if (named.count(input) == 0) fault(node, "it lists an input that no argument names");
      if (input->graph() != &gm_.graph()) {
        fault(node, "it uses a node of another graph");
      } else if (seen_.count(input) == 0 || !input->is_before(&node)) {
        fault(node, fmt::format("it uses %{}, which stands after it", input->name()));
      }
      ++uses_[input][&node];
    }
  }

  void check_target(const Node& node) {
    if (node.is(NodeKind::kGetAttr) && !gm_.tensor(node.target()).defined()) {
      fault(node, fmt::format("there is no tensor '{}': {}", node.target(),
                              did_you_mean(node.target(), gm_.tensor_paths())));
    }
    if (node.is(NodeKind::kCallFunction) && node.op() != find_callee(node.target()).op) {
      fault(node, "its op is not the one of its target");
    }
  }

  void check_users() {
    for (const Node* node : gm_.graph().nodes()) {
      auto& uses = uses_[node];
      for (const Node* user : node->users()) {
        if (--uses[user] != 0)
          fault(*node, fmt::format("%{} is a user only by list", user->name()));
      }
      for (const auto& [user, count] : uses) {
        if (count > 0) fault(*node, fmt::format("%{} uses it but is no user", user->name()));
      }
    }
  }

  void check_output() {
    int outputs = 0;
    for (const Node* node = gm_.graph().first(); node; node = node->next()) {
      if (!node->is(NodeKind::kOutput)) continue;
      ++outputs;
      if (node->next()) fault(*node, "nodes stand after the output");
      if (node->args().size() != 1) fault(*node, "an output has one argument");
      if (!node->users().empty()) fault(*node, "an output has no users");
    }
    if (outputs != 1)
      problems_.add(fmt::format("a graph has one output; this one has {}", outputs));
  }

  void check_index() {
    for (const OpDef& def : op_table()) {
      const std::vector<Node*> indexed = gm_.graph().find_all(def.id);
      const auto& actual = by_op_[def.id];
      bool exact = indexed.size() == actual.size();
      for (const Node* node : indexed) exact = exact && actual.count(node) != 0;
      if (!exact) problems_.add(fmt::format("the index of {} is not exact", def.name));
    }
  }

  void check_modules() {
    for (const std::string& path : gm_.module_paths()) {
      for (const std::string& text : check_module(*gm_.module(path))) {
        problems_.add(fmt::format("module '{}': {}", path, text));
      }
    }
  }

  const GraphModule& gm_;
  Problems problems_;
  std::unordered_set<const Node*> seen_;
  std::unordered_map<const Node*, std::unordered_map<const Node*, int>> uses_;
  std::unordered_map<OpId, std::unordered_set<const Node*>> by_op_;
};

}  // namespace

absl::Status verify(const GraphModule& gm) { return Verifier(gm).run(); }

}  // namespace fxq
