// Graphs inside a graph: the branches of an If, the body of a Loop, and what those hold in turn.
#pragma once

#include <onnx/onnx_pb.h>

namespace fxq {

// Those of one node.
template <typename Visit>
void for_each_subgraph(onnx::NodeProto& node, const Visit& visit) {
  for (onnx::AttributeProto& attribute : *node.mutable_attribute()) {
    if (attribute.has_g()) visit(*attribute.mutable_g());
  }
}

// The graph itself, then all inside it.
template <typename Visit>
void for_each_graph(onnx::GraphProto& graph, const Visit& visit) {
  visit(graph);
  for (onnx::NodeProto& node : *graph.mutable_node()) {
    for_each_subgraph(node, [&](onnx::GraphProto& inner) { for_each_graph(inner, visit); });
  }
}

// Every node anywhere.
template <typename Visit>
void for_each_node(const onnx::GraphProto& graph, const Visit& visit) {
  for (const onnx::NodeProto& node : graph.node()) {
    visit(node);
    for (const onnx::AttributeProto& attribute : node.attribute()) {
      if (attribute.has_g()) for_each_node(attribute.g(), visit);
    }
  }
}

}  // namespace fxq
