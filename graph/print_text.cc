// GraphModule -> text, in an order that depends on its content only: settings, guards, modules and
// tensors by path, ties, then the nodes in program order.
#include <ATen/core/Tensor.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "fxq/graph/ivalue_convert.h"
#include "fxq/graph/leaf_module.h"
#include "fxq/graph/lexer.h"
#include "fxq/graph/naming.h"
#include "fxq/graph/op_names.h"
#include "fxq/graph/schema_default.h"
#include "fxq/graph/text.h"
#include "fxq/graph/tied_tensors.h"

namespace fxq {
namespace {

using Lines = std::vector<std::string>;

std::string key_text(const std::string& key) {
  Lexer lexer(key);
  const Token token = lexer.take();
  const bool word = token.is(Token::Kind::kName) && token.text == key;
  return word ? key : quoted_text(key);
}

std::string strings_text(const Lines& strings) {
  Lines quoted;
  for (const std::string& text : strings) quoted.push_back(quoted_text(text));
  return fmt::format("[{}]", fmt::join(quoted, ", "));
}

std::string braces(const Lines& entries) {
  return entries.empty() ? "" : fmt::format(" {{{}}}", fmt::join(entries, ", "));
}

// -- modules and tensors

std::string tensor_type(const at::Tensor& tensor) {
  return tensor.defined() ? type_of(tensor).to_string() : "none";
}

std::string module_annotations(const LeafModule& module, bool training) {
  Lines entries;
  if (module.class_name() != module.kind()) {
    entries.push_back("class=" + quoted_text(module.class_name()));
  }
  Lines trains, frozen;
  for (const auto& [name, tensor] : module.tensors()) {
    if (!tensor.defined() || !tensor.is_floating_point()) continue;
    if (tensor.requires_grad() && !trains_by_name(name)) trains.push_back(name);
    if (!tensor.requires_grad() && trains_by_name(name)) frozen.push_back(name);
  }
  if (!trains.empty()) entries.push_back("trains=" + strings_text(trains));
  if (!frozen.empty()) entries.push_back("frozen=" + strings_text(frozen));
  if (module.is_training() != training) {
    entries.emplace_back(module.is_training() ? "train" : "eval");
  }
  return braces(entries);
}

std::string module_line(const std::string& path, const LeafModule& module, bool training,
                        const PrintOptions& options) {
  Lines entries;
  for (const auto& [name, tensor] : module.tensors()) {
    entries.push_back(fmt::format("{}: {}", key_text(name), tensor_type(tensor)));
  }
  for (const auto& [name, value] : module.attributes()) {
    if (is_schema_default(module.callee().schema, name, value)) continue;
    entries.push_back(fmt::format("{}={}", key_text(name), value.to_string()));
  }
  return fmt::format("module {} = {}({}){}\n", path_text(path), module.kind(),
                     fmt::join(entries, ", "),
                     options.annotations ? module_annotations(module, training) : "");
}

std::string declarations(const GraphModule& gm, const PrintOptions& options) {
  std::string text;
  for (const auto& [key, value] : gm.settings) {
    text += fmt::format("setting {} = {}\n", key_text(key), quoted_text(value));
  }
  for (const std::string& guard : gm.guards) text += "guard " + quoted_text(guard) + "\n";
  if (gm.is_training()) text += "training\n";
  TiedTensors tied;
  std::string ties;
  auto add_tie = [&](const std::string& path, const at::Tensor& tensor) {
    const std::string first = tied.add(path, tensor);
    if (first.empty()) return;
    ties += fmt::format("state {} = {}\n", path_text(path), path_text(first));
  };
  for (const std::string& path : gm.module_paths()) {
    const auto module = gm.module(path);
    text += module_line(path, *module, gm.is_training(), options);
    for (const auto& [name, tensor] : module->tensors()) add_tie(path + "." + name, tensor);
  }
  for (const std::string& path : gm.tensor_paths()) {
    const at::Tensor tensor = gm.tensor(path);
    const bool trains = tensor.defined() && tensor.requires_grad();
    text += fmt::format("{} {} : {}\n", trains ? "parameter" : "buffer", path_text(path),
                        tensor_type(tensor));
    add_tie(path, tensor);
  }
  return text + ties;
}

// -- nodes

std::string call_arguments(const Node& node) {
  Lines parts;
  for (const Argument& argument : node.args()) parts.push_back(argument.to_string());
  for (const auto& [key, value] : node.kwargs()) {
    parts.push_back(fmt::format("{}={}", key, value.to_string()));
  }
  return fmt::format("({})", fmt::join(parts, ", "));
}

std::string callee_text(const GraphModule& gm, const Node& node) {
  switch (node.kind()) {
    case NodeKind::kGetAttr:
      return "get_attr " + path_text(node.target());
    case NodeKind::kCallMethod:
      return "method " + node.target() + call_arguments(node);
    case NodeKind::kCallModule: {
      const auto module = gm.module(node.target());
      const std::string kind = module ? module->kind() : std::string("missing");
      return fmt::format("{} {}{}", kind, path_text(node.target()), call_arguments(node));
    }
    default:
      return name_of(node.target()) + call_arguments(node);
  }
}

// The parser gives module calls this owner by itself.
Owner default_owner(const GraphModule& gm, const Node& node) {
  const auto module = node.is(NodeKind::kCallModule) ? gm.module(node.target()) : nullptr;
  return module ? Owner{node.target(), module->class_name()} : Owner{};
}

std::string node_facts(const GraphModule& gm, const Node& node, const PrintOptions& options) {
  std::string text;
  if (options.types && node.type.kind != Type::Kind::kUnknown) {
    text += (node.is(NodeKind::kPlaceholder) ? ": " : " : ") + node.type.to_string();
  }
  if (!options.annotations) return text;
  Lines entries;
  const Owner owner = default_owner(gm, node);
  if (node.owner.path != owner.path) entries.push_back("owner=" + quoted_text(node.owner.path));
  if (node.owner.class_name != owner.class_name) {
    entries.push_back("class=" + quoted_text(node.owner.class_name));
  }
  if (!node.source.empty()) entries.push_back("source=" + quoted_text(node.source));
  if (!node.origins.empty()) entries.push_back("origins=" + strings_text(node.origins));
  if (!node.device.empty()) entries.push_back("device=" + quoted_text(node.device));
  if (node.follows_mode) entries.emplace_back("mode");
  return text + braces(entries);
}

std::string placeholder_text(const GraphModule& gm, const Node& node, const PrintOptions& options) {
  std::string text = "%" + node.name();
  if (node.target() != node.name()) text += " " + quoted_text(node.target());
  text += node_facts(gm, node, options);
  if (!node.args().empty()) text += " = " + node.args()[0].to_string();
  return text;
}

}  // namespace

std::string print_text(const GraphModule& gm, const PrintOptions& options) {
  Lines inputs;
  std::string body;
  for (const Node* node : gm.graph().nodes()) {
    if (node->is(NodeKind::kPlaceholder)) {
      inputs.push_back(placeholder_text(gm, *node, options));
    } else if (node->is(NodeKind::kOutput)) {
      PrintOptions untyped = options;
      untyped.types = false;
      body += fmt::format("  return {}{}\n", node->args()[0].to_string(),
                          node_facts(gm, *node, untyped));
    } else {
      body += fmt::format("  %{} = {}{}\n", node->name(), callee_text(gm, *node),
                          node_facts(gm, *node, options));
    }
  }
  return fmt::format("{}graph ({}) {{\n{}}}\n", declarations(gm, options), fmt::join(inputs, ", "),
                     body);
}

}  // namespace fxq
