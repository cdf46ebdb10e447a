// %relu = relu(%conv) : f32[N,64,56,56]  ->  "relu" [label="relu\nrelu\nf32[N,64,56,56]", ...];
// "conv" -> "relu"
#include "fxq/graph/draw.h"

#include <fmt/format.h>

#include <map>

#include "fxq/graph/leaf_module.h"
#include "fxq/graph/op_names.h"

namespace fxq {
namespace {

constexpr int kMaxClusterDepth = 12;

std::string escaped(std::string_view text) {
  std::string result;
  for (char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    result += c == '\n' ? ' ' : c;
  }
  return result;
}

std::string op_text(const GraphModule& gm, const Node& node) {
  std::string text;
  switch (node.kind()) {
    case NodeKind::kPlaceholder:
      return "input";
    case NodeKind::kGetAttr:
      return node.target();
    case NodeKind::kOutput:
      return "output";
    case NodeKind::kCallMethod:
      return "." + node.target();
    case NodeKind::kCallFunction:
      text = name_of(node.target());
      break;
    case NodeKind::kCallModule: {
      const auto module = gm.module(node.target());
      text = module ? module->kind() : std::string("missing module");
    }
  }
  if (node.epilogue_add()) text += " + add";
  const OpId activation = node.epilogue_activation();
  if (activation != OpId::kNone) text += fmt::format(" + {}", op_def(activation).name);
  return text;
}

std::string colour(const GraphModule& gm, const Node& node) {
  if (!node.is_call()) return "#e8e8e8";
  const auto module = node.is(NodeKind::kCallModule) ? gm.module(node.target()) : nullptr;
  if (node.device == "CPU" || (module && module->kind() == "opaque")) return "#ffd8a8";
  const Type& type = node.type.elements.empty() ? node.type : node.type.elements[0];
  if (!type.is_quantized() || !type.dtype) return "#d0e4ff";
  return dtype_size(*type.dtype) == 1 ? "#c3edc0" : "#b5e8e8";
}

std::string node_line(const GraphModule& gm, const Node& node, const DrawOptions& options) {
  std::string label = escaped(node.name()) + "\\n" + escaped(op_text(gm, node));
  if (options.shapes && node.type.kind != Type::Kind::kUnknown) {
    label += "\\n" + escaped(node.type.to_string());
  }
  if (!node.device.empty()) label += "\\n" + escaped(node.device);
  return fmt::format("\"{}\" [label=\"{}\", fillcolor=\"{}\"];\n", escaped(node.name()), label,
                     colour(gm, node));
}

// A module of the drawn model, with the nodes that its own code made.
struct Box {
  std::string path;
  std::vector<const Node*> nodes;
  std::map<std::string, Box> inner;
};

// A leaf's call belongs to the module that holds the leaf.
std::string box_path(const Node& node) {
  const std::string& path = node.owner.path;
  if (!node.is(NodeKind::kCallModule) || path != node.target()) return path;
  const size_t dot = path.rfind('.');
  return dot == std::string::npos ? "" : path.substr(0, dot);
}

Box& descend(Box& root, const std::string& path) {
  Box* box = &root;
  size_t start = 0;
  for (int depth = 0; start < path.size() && depth < kMaxClusterDepth; ++depth) {
    const size_t dot = std::min(path.find('.', start), path.size());
    Box& next = box->inner[path.substr(start, dot - start)];
    next.path = path.substr(0, dot);
    box = &next;
    start = dot + 1;
  }
  return *box;
}

void write_box(const GraphModule& gm, const Box& box, const DrawOptions& options, int& count,
               std::string& out) {
  for (const Node* node : box.nodes) out += node_line(gm, *node, options);
  for (const auto& [name, inner] : box.inner) {
    out += fmt::format("subgraph \"cluster_{}\" {{\nlabel=\"{}\";\n", count++, escaped(inner.path));
    write_box(gm, inner, options, count, out);
    out += "}\n";
  }
}

}  // namespace

std::string to_dot(const GraphModule& gm, const DrawOptions& options) {
  std::string text =
      "digraph fxq {\n"
      "graph [fontname=\"Helvetica\", fontsize=10, color=\"#999999\", style=rounded];\n"
      "node [shape=box, style=\"rounded,filled\", fontname=\"Helvetica\", fontsize=10];\n"
      "edge [arrowsize=0.6];\n";
  Box root;
  for (const Node* node : gm.graph().nodes()) {
    descend(root, options.module_clusters ? box_path(*node) : "").nodes.push_back(node);
  }
  int count = 0;
  write_box(gm, root, options, count, text);
  for (const Node* node : gm.graph().nodes()) {
    for (const Node* input : node->inputs()) {
      text += fmt::format("\"{}\" -> \"{}\";\n", escaped(input->name()), escaped(node->name()));
    }
  }
  return text + "}\n";
}

}  // namespace fxq
