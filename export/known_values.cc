// %s = size(%x, 2); %y = avg_pool2d(%x, [%s, 7])   ->   %y = avg_pool2d(%x, [14, 7])
// %z = zeros([4, 4]); %m = fill(%z, 1)             ->   get_attr @m
#include "fxq/export/known_values.h"

#include <ATen/Functions.h>
#include <ATen/core/function_schema.h>

#include <algorithm>

#include "fxq/base/status.h"
#include "fxq/export/open_sizes.h"
#include "fxq/graph/ivalue_convert.h"
#include "fxq/passes/cleanup.h"
#include "fxq/passes/constants.h"
#include "fxq/passes/effects.h"
#include "fxq/quant/reference_interpreter.h"

namespace fxq {
namespace {

bool is_constant_tensor(const GraphModule& model, const Node& node) {
  if (node.type.is_quantized()) return false;  // a weight of integers keeps its scale beside it
  return model.tensor(node.target()).defined();
}

bool can_compute(const GraphModule& model, const Node& node) {
  if (!node.is(NodeKind::kCallFunction) || holds_integers(node.type)) return false;
  return !is_impure(node) && !runs_in_training_mode(model, node);
}

bool is_nested(const Argument& argument) {
  const std::vector<Argument>* items = argument.items();
  return items && std::any_of(items->begin(), items->end(),
                              [](const Argument& item) { return item.items() != nullptr; });
}

// The argument as the user's schema wants it there: a dtype, not its number.
Argument as_formal(const Node& user, std::optional<int> index, Argument value) {
  const bool known =
      user.schema() && index && static_cast<size_t>(*index) < user.schema()->arguments().size();
  if (!known) return value;
  return schema_argument(user.schema()->arguments()[static_cast<size_t>(*index)], std::move(value));
}

void put_constant(Graph& graph, Node* user, const Node* known, const Argument& constant) {
  const auto map = [&](Node* node) { return node == known ? constant : Argument(node); };
  std::vector<Argument> args;
  for (const Argument& arg : user->args()) {
    const auto index = static_cast<int>(args.size());
    args.push_back(as_formal(*user, index, arg.map_nodes(map)));
  }
  graph.set_args(user, std::move(args));
  Kwargs kwargs;
  for (const auto& [key, value] : user->kwargs()) {
    std::optional<int> index;
    if (user->schema()) {
      if (const auto found = user->schema()->argumentIndexWithName(key)) index = *found;
    }
    kwargs.emplace_back(key, as_formal(*user, index, value.map_nodes(map)));
  }
  graph.set_kwargs(user, std::move(kwargs));
}

bool has_open_user(const Node& node, const KnownValues& values) {
  return std::any_of(node.users().begin(), node.users().end(),
                     [&](const Node* user) { return values.count(user->name()) == 0; });
}

}  // namespace

bool same_value(const c10::IValue& a, const c10::IValue& b) {
  if (a.isTensor() != b.isTensor()) return false;
  if (!a.isTensor()) return to_argument(a) == to_argument(b);
  const at::Tensor& x = a.toTensor();
  const at::Tensor& y = b.toTensor();
  return x.scalar_type() == y.scalar_type() && x.sizes() == y.sizes() && at::equal(x, y);
}

std::unordered_set<std::string> data_free_nodes(const GraphModule& model,
                                                const ExportOptions& options) {
  const bool tensors = options.do_constant_folding && options.export_params &&
                       options.training == TrainingMode::kEval && barriers(model.graph()).empty();
  std::unordered_set<const Node*> known;
  std::unordered_set<std::string> names;
  for (const Node* node : model.graph().nodes()) {
    if (node->is(NodeKind::kGetAttr)) {
      if (tensors && is_constant_tensor(model, *node)) known.insert(node);
      continue;
    }
    if (!can_compute(model, *node)) continue;
    const bool all_known = std::all_of(node->inputs().begin(), node->inputs().end(),
                                       [&](const Node* input) { return known.count(input) != 0; });
    if (!all_known && !asks_a_tensor(*node)) continue;
    known.insert(node);
    names.insert(node->name());
  }
  return names;
}

void keep_common(KnownValues& values, const KnownValues& other) {
  for (auto it = values.begin(); it != values.end();) {
    const auto found = other.find(it->first);
    it = found != other.end() && same_value(it->second, found->second) ? std::next(it)
                                                                       : values.erase(it);
  }
}

absl::Status write_known_values(GraphModule& model, const KnownValues& values) {
  Graph& graph = model.graph();
  for (Node* node : std::vector<Node*>(graph.nodes().begin(), graph.nodes().end())) {
    const auto found = values.find(node->name());
    if (found == values.end() || !has_open_user(*node, values)) continue;
    if (found->second.isTensor()) {
      replace_by_constant(model, node, found->second.toTensor().detach());
      continue;
    }
    const auto constant = to_argument(found->second);
    if (!constant || is_nested(*constant)) continue;
    for (Node* user : std::vector<Node*>(node->users().begin(), node->users().end())) {
      if (user->is_call()) put_constant(graph, user, node, *constant);
    }
  }
  return dce(model).status();
}

}  // namespace fxq
