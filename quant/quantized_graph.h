// QuantizedGraph: what convert_fx makes: a GraphModule with integer types whose nodes run on plain,
// exact reference kernels. They are the definition of the integer model; a lowered Program gives
// the same integers, fast. Owns its graph; movable, not copyable.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "fxq/graph/graph_module.h"
#include "fxq/quant/march.h"
#include "fxq/quant/quant_report.h"

namespace fxq {

struct LoadOptions;  // graph/artifact.h

class QuantizedGraph {
 public:
  QuantizedGraph(GraphModule gm, QuantReport report)
      : report(std::move(report)), gm_(std::move(gm)) {}
  // A graph that was saved: InvalidArgument if it is no converted one.
  static absl::StatusOr<QuantizedGraph> from_graph_module(GraphModule gm);

  GraphModule& graph_module() { return gm_; }
  const GraphModule& graph_module() const { return gm_; }
  March march() const;

  // Runs on the reference kernels. Takes and gives floats, as the float model does.
  absl::StatusOr<c10::IValue> forward(std::vector<c10::IValue> inputs) const;

  QuantReport report;

 private:
  GraphModule gm_;
};
using QuantizedGraphModule = QuantizedGraph;

absl::StatusOr<QuantizedGraph> load_quantized(const std::string& path);
absl::StatusOr<QuantizedGraph> load_quantized(const std::string& path, const LoadOptions& options);
absl::Status save(const QuantizedGraph& model, const std::string& path);

}  // namespace fxq
