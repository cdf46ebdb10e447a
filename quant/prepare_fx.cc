// %conv = conv2d @conv(%x)          %x_fq = fake_quantize @x_fq(%x)
// %relu = relu(%conv)         ->    %relu = fq_conv2d @conv(%x_fq, activation="relu")
// return %relu                      %relu_fq = fake_quantize @relu_fq(%relu)
//                                   return %relu_fq
#include "fxq/quant/prepare_fx.h"

#include <fmt/format.h>

#include "fxq/base/status.h"
#include "fxq/graph/leaf_module.h"
#include "fxq/passes/batch_norm_fold.h"
#include "fxq/quant/fake_quantize.h"
#include "fxq/quant/fuse_fx.h"
#include "fxq/quant/hybrid.h"
#include "fxq/quant/insert_fake_quants.h"
#include "fxq/quant/quant_op_module.h"
#include "fxq/quant/stage.h"

namespace fxq {
namespace {

absl::Status check_request(const std::string& function, const PrepareOptions& options) {
  return check_hybrid_request(options.hybrid, options.hybrid_dict, options.march, function);
}

FuseOptions fuse_options(const PrepareOptions& options) {
  FuseOptions fuse;
  fuse.fuse_custom_config.preserved_attributes = options.prepare_custom_config.preserved_attributes;
  return fuse;
}

// Fused for training, with tensors of its own.
absl::StatusOr<GraphModule> fused_for_training(const GraphModule& model,
                                               const PrepareOptions& options) {
  GraphModule own = model.copy(GraphModule::Copy::kCloneAll);
  if (options.qat_mode == QatMode::WithBN) own.train();
  FXQ_ASSIGN_OR_RETURN(GraphModule fused, fuse_fx(own, fuse_options(options)));
  if (options.qat_mode == QatMode::FuseBN) fold_batch_norm_modules(fused);
  return fused;
}

// The float graph that an observed one was made of, and what calibration found.
struct Calibrated {
  GraphModule gm;
  std::map<std::string, std::shared_ptr<FakeQuantize>> values;   // by the value's name
  std::map<std::string, std::shared_ptr<FakeQuantize>> weights;  // by the module's path
};

absl::StatusOr<Calibrated> without_fake_quants(const GraphModule& observed) {
  Calibrated calibrated{observed.copy(GraphModule::Copy::kCloneAll), {}, {}};
  GraphModule& gm = calibrated.gm;
  std::vector<Node*> dead;
  for (Node* node : gm.graph().nodes()) {
    if (!node->is(NodeKind::kCallModule)) continue;
    auto module = gm.module(node->target());
    if (auto op = std::dynamic_pointer_cast<QuantOpModule>(module)) {
      calibrated.weights[node->target()] = op->weight_fake_quant();
      gm.set_module(node->target(), op->without_fake_quant());
    } else if (auto fake_quant = std::dynamic_pointer_cast<FakeQuantize>(module)) {
      Node* value = node->args()[0].node();
      calibrated.values[value->name()] = fake_quant;
      gm.graph().replace_all_uses(node, value);
      dead.push_back(node);
    }
  }
  for (Node* node : dead) FXQ_RETURN_IF_ERROR(gm.graph().erase(node));
  remove_dequant_stubs(gm);
  gm.remove_unused();
  for (const char* key : {kStageSetting, kMarchSetting, kFloatOpsSetting}) gm.settings.erase(key);
  return calibrated;
}

void start_from(const Calibrated& calibrated, ObservedGraphModule& model) {
  GraphModule& gm = model.graph_module();
  for (const Node* node : gm.graph().nodes()) {
    if (!node->is(NodeKind::kCallModule)) continue;
    auto module = gm.module(node->target());
    if (auto op = std::dynamic_pointer_cast<QuantOpModule>(module)) {
      const auto weight = calibrated.weights.find(node->target());
      if (weight != calibrated.weights.end()) op->weight_fake_quant()->start_from(*weight->second);
    } else if (auto fake_quant = std::dynamic_pointer_cast<FakeQuantize>(module)) {
      const auto value = calibrated.values.find(node->args()[0].node()->name());
      if (value != calibrated.values.end()) fake_quant->start_from(*value->second);
    }
  }
}

absl::StatusOr<QConfigDict> only_global(absl::StatusOr<QConfig> qconfig) {
  FXQ_RETURN_IF_ERROR(qconfig.status());
  QConfigDict dict;
  dict.global = *std::move(qconfig);
  return dict;
}

}  // namespace

absl::StatusOr<ObservedGraphModule> prepare_calibration_fx(const GraphModule& model,
                                                           const QConfigDict& qconfig_dict,
                                                           const PrepareOptions& options) {
  FXQ_RETURN_IF_ERROR(require_stage(model, "", "prepare_calibration_fx"));
  FXQ_RETURN_IF_ERROR(check_request("prepare_calibration_fx", options));
  if (model.is_training()) {
    return absl::FailedPreconditionError(
        "prepare_calibration_fx: the model is in train() mode; call eval() first");
  }
  FXQ_ASSIGN_OR_RETURN(const GraphModule fused, fuse_fx(model, fuse_options(options)));
  return insert_fake_quants(fused.copy(GraphModule::Copy::kCloneBuffers), qconfig_dict, options,
                            FakeQuantState::CALIBRATION);
}

absl::StatusOr<ObservedGraphModule> prepare_calibration_fx(const GraphModule& model,
                                                           const PrepareOptions& options) {
  FXQ_ASSIGN_OR_RETURN(const QConfigDict dict, only_global(get_default_calib_qconfig()));
  return prepare_calibration_fx(model, dict, options);
}

absl::StatusOr<ObservedGraphModule> prepare_qat_fx(const GraphModule& model,
                                                   const QConfigDict& qconfig_dict,
                                                   const PrepareOptions& options) {
  FXQ_RETURN_IF_ERROR(require_stage(model, "", "prepare_qat_fx"));
  FXQ_RETURN_IF_ERROR(check_request("prepare_qat_fx", options));
  FXQ_ASSIGN_OR_RETURN(GraphModule fused, fused_for_training(model, options));
  return insert_fake_quants(std::move(fused), qconfig_dict, options, FakeQuantState::QAT);
}

absl::StatusOr<ObservedGraphModule> prepare_qat_fx(const GraphModule& model,
                                                   const PrepareOptions& options) {
  FXQ_ASSIGN_OR_RETURN(const QConfigDict dict, only_global(get_default_qat_qconfig()));
  return prepare_qat_fx(model, dict, options);
}

absl::StatusOr<ObservedGraphModule> prepare_qat_fx(const ObservedGraphModule& calibrated,
                                                   const QConfigDict& qconfig_dict,
                                                   const PrepareOptions& options) {
  if (calibrated.march() != options.march) {
    return absl::InvalidArgumentError(
        fmt::format("prepare_qat_fx: the model was prepared for {}, not for {}",
                    march_name(calibrated.march()), march_name(options.march)));
  }
  FXQ_ASSIGN_OR_RETURN(Calibrated before, without_fake_quants(calibrated.graph_module()));
  FXQ_RETURN_IF_ERROR(preserve_attributes(
      calibrated.graph_module(), options.prepare_custom_config.preserved_attributes, before.gm));
  FXQ_ASSIGN_OR_RETURN(ObservedGraphModule model, prepare_qat_fx(before.gm, qconfig_dict, options));
  start_from(before, model);
  return model;
}

absl::StatusOr<ObservedGraphModule> prepare_qat_fx(const ObservedGraphModule& calibrated,
                                                   const PrepareOptions& options) {
  FXQ_ASSIGN_OR_RETURN(const QConfigDict dict, only_global(get_default_qat_qconfig()));
  return prepare_qat_fx(calibrated, dict, options);
}

}  // namespace fxq
