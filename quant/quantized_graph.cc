// A GraphModule whose setting "stage" says converted, run by ReferenceInterpreter.
#include "fxq/quant/quantized_graph.h"

#include "fxq/base/status.h"
#include "fxq/graph/artifact.h"
#include "fxq/quant/provenance.h"
#include "fxq/quant/quant_op_module.h"
#include "fxq/quant/reference_interpreter.h"
#include "fxq/quant/stage.h"

namespace fxq {

absl::StatusOr<QuantizedGraph> QuantizedGraph::from_graph_module(GraphModule gm) {
  FXQ_RETURN_IF_ERROR(require_stage(gm, kStageQuantized, "QuantizedGraph"));
  FXQ_RETURN_IF_ERROR(check_quant_format(gm));
  FXQ_RETURN_IF_ERROR(march_of(gm).status());
  QuantReport report = report_of(gm);
  return QuantizedGraph(std::move(gm), std::move(report));
}

March QuantizedGraph::march() const { return march_of(gm_).value_or(March::CPU); }

absl::StatusOr<c10::IValue> QuantizedGraph::forward(std::vector<c10::IValue> inputs) const {
  const at::NoGradGuard no_grad;
  return ReferenceInterpreter(gm_).run(std::move(inputs));
}

absl::StatusOr<QuantizedGraph> load_quantized(const std::string& path) {
  return load_quantized(path, LoadOptions{});
}

absl::StatusOr<QuantizedGraph> load_quantized(const std::string& path, const LoadOptions& options) {
  FXQ_ASSIGN_OR_RETURN(GraphModule gm, load_quant_graph(path, options));
  return QuantizedGraph::from_graph_module(std::move(gm));
}

absl::Status save(const QuantizedGraph& model, const std::string& path) {
  return save(model.graph_module(), path);
}

}  // namespace fxq
