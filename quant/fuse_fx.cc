// open_lstm_cell, open_attention, fold_parameters, scalar_parameters, modularize, remove_identity,
// recompose, fuse, dce: on a copy.
#include "fxq/quant/fuse_fx.h"

#include <ATen/core/ivalue.h>
#include <fmt/format.h>

#include <algorithm>

#include "fxq/base/status.h"
#include "fxq/graph/opaque_module.h"
#include "fxq/passes/pipeline.h"
#include "fxq/quant/compare.h"
#include "fxq/quant/float_calls.h"
#include "fxq/quant/stage.h"
#include "fxq/tracer/wrap.h"

namespace fxq {
namespace {

constexpr double kTolerance = 1e-4;

absl::Status check_same(const GraphModule& model, const GraphModule& fused,
                        const std::vector<c10::IValue>& inputs) {
  const auto copies = [&] {  // of models and inputs: running changes the state of some
    std::vector<c10::IValue> values;
    for (const c10::IValue& input : inputs) values.push_back(input.deepcopy());
    return values;
  };
  constexpr auto kOwnState = GraphModule::Copy::kCloneBuffers;
  FXQ_ASSIGN_OR_RETURN(const c10::IValue expected, model.copy(kOwnState).forward(copies()));
  FXQ_ASSIGN_OR_RETURN(const c10::IValue actual, fused.copy(kOwnState).forward(copies()));
  FXQ_ASSIGN_OR_RETURN(const double difference, max_relative_difference(expected, actual));
  if (difference <= kTolerance) return absl::OkStatus();
  return absl::InternalError(fmt::format(
      "fuse_fx changed the model: outputs differ by {} of their largest value", difference));
}

// nn.BatchNorm1d asks for its input's rank, which nothing says without an example.
void note_kept_whole(GraphModule& gm) {
  for (const Node* node : gm.graph().nodes()) {
    if (!node->is(NodeKind::kCallModule) || node->op() != OpId::kNone) continue;
    const auto module = std::dynamic_pointer_cast<OpaqueModule>(gm.module(node->target()));
    if (!module) continue;
    const std::string class_name = python_name(module->class_name());
    if (op_from_module_type(class_name) == OpId::kNone) continue;
    std::string note = fmt::format(
        "%{} ({}) is kept whole: as a leaf of yours, or because its code asks for the shape of its "
        "input, which example inputs (--shape) would tell",
        node->name(), class_name);
    const auto known = std::find(gm.notes.begin(), gm.notes.end(), note);
    if (known == gm.notes.end()) gm.notes.push_back(std::move(note));
  }
}

}  // namespace

absl::StatusOr<GraphModuleWithAttr> fuse_fx(const GraphModule& model, const FuseOptions& options) {
  FXQ_RETURN_IF_ERROR(require_stage(model, "", "fuse_fx"));
  GraphModule fused = model.copy();
  FXQ_ASSIGN_OR_RETURN(
      Pipeline pipeline,
      Pipeline::parse(
          "open_lstm_cell, open_attention, fold_parameters, scalar_parameters, modularize, "
          "remove_identity, recompose, fuse, dce"));
  const FloatCalls calls(model);
  FXQ_RETURN_IF_ERROR(pipeline.run(fused).status());
  calls.store(fused);
  note_kept_whole(fused);
  FXQ_RETURN_IF_ERROR(
      preserve_attributes(model, options.fuse_custom_config.preserved_attributes, fused));
  if (options.check_inputs) {
    FXQ_RETURN_IF_ERROR(check_same(model, fused, *options.check_inputs));
  }
  return fused;
}

}  // namespace fxq
