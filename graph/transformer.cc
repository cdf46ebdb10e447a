// One pass in program order; a node's arguments are always made before it.
#include "fxq/graph/transformer.h"

#include <fmt/format.h>

#include "fxq/base/status.h"
#include "fxq/graph/leaf_module.h"
#include "fxq/graph/verifier.h"

namespace fxq {

Transformer::Transformer(const GraphModule& gm) : gm_(gm) {}
Transformer::~Transformer() = default;

Argument Transformer::copy_of(const Node& node, std::vector<Argument> args, Kwargs kwargs) {
  Node* copy = graph().node_copy(&node, [](Node*) { return Argument(); });
  graph().set_args(copy, std::move(args));
  graph().set_kwargs(copy, std::move(kwargs));
  return copy;
}

absl::StatusOr<Argument> Transformer::placeholder(const Node& node) {
  return copy_of(node, {}, {});
}

absl::StatusOr<Argument> Transformer::get_attr(const Node& node) { return copy_of(node, {}, {}); }

absl::StatusOr<Argument> Transformer::call_function(const Node& node, std::vector<Argument> args,
                                                    Kwargs kwargs) {
  return copy_of(node, std::move(args), std::move(kwargs));
}

absl::StatusOr<Argument> Transformer::call_module(const Node& node, std::vector<Argument> args,
                                                  Kwargs kwargs) {
  return copy_of(node, std::move(args), std::move(kwargs));
}

absl::StatusOr<Argument> Transformer::call_method(const Node& node, std::vector<Argument> args,
                                                  Kwargs kwargs) {
  return copy_of(node, std::move(args), std::move(kwargs));
}

absl::StatusOr<Argument> Transformer::output(const Node&, Argument value) { return value; }

absl::StatusOr<Argument> Transformer::visit(const Node& node) {
  auto map = [&](Node* input) { return values_.at(input); };
  std::vector<Argument> args;
  for (const Argument& argument : node.args()) args.push_back(argument.map_nodes(map));
  Kwargs kwargs;
  for (const auto& [key, argument] : node.kwargs()) {
    kwargs.emplace_back(key, argument.map_nodes(map));
  }
  switch (node.kind()) {
    case NodeKind::kPlaceholder:
      return placeholder(node);
    case NodeKind::kGetAttr:
      return get_attr(node);
    case NodeKind::kCallFunction:
      return call_function(node, std::move(args), std::move(kwargs));
    case NodeKind::kCallModule:
      return call_module(node, std::move(args), std::move(kwargs));
    case NodeKind::kCallMethod:
      return call_method(node, std::move(args), std::move(kwargs));
    case NodeKind::kOutput:
      break;
  }
  return output(node, std::move(args[0]));
}

absl::StatusOr<GraphModule> Transformer::transform() {
  values_.clear();
  result_ = gm_.copy_without_graph();
  for (const Node* node : gm_.graph().nodes()) {
    auto value = visit(*node);
    if (!value.ok()) {
      return absl::Status(
          value.status().code(),
          fmt::format("%{}: {}", node->name(), std::string(value.status().message())));
    }
    if (node->is(NodeKind::kOutput)) graph().output(*value);
    values_[node] = *std::move(value);
  }
  result_.remove_unused();
  FXQ_RETURN_IF_ERROR(verify(result_));
  return std::move(result_);
}

}  // namespace fxq
