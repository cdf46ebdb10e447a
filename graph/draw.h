// Pictures of a graph: Graphviz DOT text, and SVG laid out by libgvc.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "fxq/graph/graph_module.h"

namespace fxq {

struct DrawOptions {
  bool shapes = true;
  bool module_clusters = true;  // one box per owner module
};

// Nodes are coloured by kind and dtype (float, int8, int16, CPU); labels: name, op, type,
// device.
std::string to_dot(const GraphModule& gm, const DrawOptions& options = {});
absl::StatusOr<std::string> to_svg(const GraphModule& gm, const DrawOptions& options = {});

}  // namespace fxq
