// A GraphModule whose setting "stage" says observed; its FakeQuantize modules by path.
#include "fxq/quant/observed_graph.h"

#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include "fxq/base/status.h"
#include "fxq/graph/artifact.h"
#include "fxq/graph/weighted_bn_module.h"
#include "fxq/passes/batch_norm_fold.h"
#include "fxq/quant/fake_quantize.h"
#include "fxq/quant/provenance.h"
#include "fxq/quant/quant_op_module.h"
#include "fxq/quant/stage.h"

namespace fxq {

absl::StatusOr<ObservedGraphModule> ObservedGraphModule::from_graph_module(GraphModule gm) {
  FXQ_RETURN_IF_ERROR(require_stage(gm, kStageObserved, "ObservedGraphModule"));
  FXQ_RETURN_IF_ERROR(check_quant_format(gm));
  FXQ_RETURN_IF_ERROR(march_of(gm).status());
  QuantReport report = report_of(gm);
  return ObservedGraphModule(std::move(gm), std::move(report));
}

March ObservedGraphModule::march() const { return march_of(gm_).value_or(March::CPU); }

absl::StatusOr<c10::IValue> ObservedGraphModule::forward(std::vector<c10::IValue> inputs) const {
  const at::AutoGradMode gradients(gm_.is_training() && at::GradMode::is_enabled());
  return gm_.forward(std::move(inputs));
}

std::vector<std::pair<std::string, FakeQuantize*>> ObservedGraphModule::fake_quants() const {
  std::vector<std::pair<std::string, FakeQuantize*>> result;
  for (const std::string& path : gm_.module_paths()) {
    LeafModule* module = gm_.module(path).get();
    if (auto* fake_quant = dynamic_cast<FakeQuantize*>(module)) {
      result.emplace_back(path, fake_quant);
    } else if (auto* op = dynamic_cast<QuantOpModule*>(module)) {
      result.emplace_back(path + ".weight", op->weight_fake_quant().get());
    }
  }
  return result;
}

namespace {

// They were found before the last step of training.
absl::Status refresh_weight_scales(ObservedGraphModule& model) {
  const GraphModule& gm = model.graph_module();
  for (const std::string& path : gm.module_paths()) {
    auto* op = dynamic_cast<QuantOpModule*>(gm.module(path).get());
    if (!op) continue;
    const absl::Status refreshed = op->refresh_weight_scale();
    if (!refreshed.ok()) {
      return {refreshed.code(), path + ": " + std::string(refreshed.message())};
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status set_fake_quantize(ObservedGraphModule& model, FakeQuantState state) {
  const bool training = model.graph_module().is_training();
  const bool wants_training = state == FakeQuantState::QAT;
  if (training != wants_training) {
    return absl::FailedPreconditionError(
        fmt::format("the state {} wants {}, but the model is in {}; call that first",
                    wants_training ? "QAT" : "CALIBRATION or VALIDATION",
                    wants_training ? "train()" : "eval()", training ? "train()" : "eval()"));
  }
  if (state == FakeQuantState::VALIDATION) FXQ_RETURN_IF_ERROR(refresh_weight_scales(model));
  for (const auto& [path, fake_quant] : model.fake_quants()) {
    const bool is_fixed = fake_quant->has_fixed_qparams();
    fake_quant->enable_observer(state != FakeQuantState::VALIDATION && !is_fixed);
    fake_quant->enable_fake_quant(state != FakeQuantState::CALIBRATION);
  }
  return absl::OkStatus();
}

void freeze_bn_stats(ObservedGraphModule& model, bool on) {
  const GraphModule& gm = model.graph_module();
  for (const std::string& path : gm.module_paths()) {
    LeafModule* module = gm.module(path).get();
    if (auto* op = dynamic_cast<QuantOpModule*>(module)) {
      op->freeze_bn_stats(on);
    } else if (auto* with_bn = dynamic_cast<WeightedBnModule*>(module)) {
      set_batch_norm_frozen(*with_bn->batch_norm(), on);
    } else if (auto* bn = dynamic_cast<OpModule*>(module); bn && bn->op() == OpId::kBatchNorm) {
      set_batch_norm_frozen(*bn, on);
    }
  }
}

void enable_observers(ObservedGraphModule& model, bool on) {
  for (const auto& [path, fake_quant] : model.fake_quants()) {
    if (!fake_quant->has_fixed_qparams()) fake_quant->enable_observer(on);
  }
}

absl::StatusOr<ObservedGraphModule> load_observed(const std::string& path) {
  return load_observed(path, LoadOptions{});
}

absl::StatusOr<ObservedGraphModule> load_observed(const std::string& path,
                                                  const LoadOptions& options) {
  FXQ_ASSIGN_OR_RETURN(GraphModule gm, load_quant_graph(path, options));
  return ObservedGraphModule::from_graph_module(std::move(gm));
}

absl::Status save(const ObservedGraphModule& model, const std::string& path) {
  return save(model.graph_module(), path);
}

}  // namespace fxq
