// A TorchScript file as a typed, traced graph, the start of inspect, quantize and export.
#pragma once

#include <ATen/core/ivalue.h>

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "fxq/graph/graph_module.h"

namespace torch::jit {
struct Module;
}

namespace fxq {

// Names of forward's arguments, without self. Those that have a default are constants of the graph,
// unless `named` (entries "name=...") speaks of one at or behind them.
std::vector<std::string> script_input_names(const torch::jit::Module& module,
                                            const std::vector<std::string>& named = {});

// Random inputs of the shapes that the user gives, by the names of forward's arguments: what a
// capture that depends on shapes needs before there is a graph.
absl::StatusOr<std::vector<c10::IValue>> example_of_shapes(const std::string& path,
                                                           const std::vector<std::string>& shapes);

struct FloatModelRequest {
  std::string path;
  std::vector<std::string> leaves;  // classes or paths to keep whole
  bool symbolic_batch = false;      // types are for every batch size
};

// In eval mode, without types.
absl::StatusOr<GraphModule> load_float_graph(const FloatModelRequest& request);

// With types from one run; if capture needed an example, it is captured again with this one.
absl::StatusOr<GraphModule> load_float_graph(const FloatModelRequest& request,
                                             const std::vector<c10::IValue>& example);

// What the graph takes for granted, and what its guards check, a line each.
void print_assumptions(const GraphModule& gm);

}  // namespace fxq
