// %c = fq_conv2d @c(%x)   ->   DequantizeLinear(c.weight i8, c.weight_scale) -> Conv
// %c_fq = fake_quantize @c_fq(%c)   ->   QuantizeLinear, DequantizeLinear
#include "fxq/export/prepared_form.h"

#include <ATen/core/Tensor.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "fxq/base/status.h"
#include "fxq/export/exporter.h"
#include "fxq/export/integer_weights_form.h"
#include "fxq/export/opset_forms.h"
#include "fxq/graph/tensor_convert.h"
#include "fxq/passes/batch_norm_fold.h"
#include "fxq/quant/fake_quantize.h"
#include "fxq/quant/observed_graph.h"
#include "fxq/quant/quant_op_module.h"
#include "fxq/quant/stage.h"

namespace fxq {
namespace {

const FakeQuantize* fake_quantize_of(const GraphModule& gm, const Node& node) {
  if (!node.is(NodeKind::kCallModule)) return nullptr;
  return dynamic_cast<const FakeQuantize*>(gm.module(node.target()).get());
}

const QuantOpModule* quant_op_of(const GraphModule& gm, const Node& node) {
  return dynamic_cast<const QuantOpModule*>(gm.op_module(node));
}

absl::Status check_scales(const GraphModule& gm) {
  std::vector<std::string> names;
  for (const std::string& path : gm.module_paths()) {
    const auto* fake_quant = dynamic_cast<const FakeQuantize*>(gm.module(path).get());
    if (fake_quant && !fake_quant->is_calibrated()) names.push_back(path);
  }
  if (names.empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      fmt::format("these fake quants never saw data, so they have no scale to export: {}; run "
                  "calibration data or a training step through the prepared model first",
                  fmt::join(names, ", ")));
}

// The integers of a weight, made once per module and kept in it: calls of one module share them.
constexpr const char* kIntegers = "weight_integers";

at::Tensor integers_of(const OpModule& op, const FakeQuantize& fake_quant) {
  const OpDef& def = op_def(op.op());
  const at::Tensor weight = op.tensor(def.weight).detach();
  const at::Tensor scale = fake_quant.scale().detach();
  std::vector<int64_t> along(static_cast<size_t>(weight.dim()), 1);
  along[static_cast<size_t>(def.channel_axis)] = scale.numel();
  const auto dtype = static_cast<at::ScalarType>(scalar_type_number(fake_quant.dtype()));
  return (fake_quant.quantized(weight) / scale.reshape(along)).round().to(dtype);
}

std::shared_ptr<QuantOpModule> with_integers(const QuantOpModule& op) {
  const std::shared_ptr<OpModule> folded = op.folded();
  NamedTensors tensors = folded->tensors();
  tensors.emplace_back(kIntegers, integers_of(*folded, *op.weight_fake_quant()));
  const OpModule plain(folded->class_name(), folded->op(), tensors, folded->attributes());
  return std::make_shared<QuantOpModule>(plain, op.weight_fake_quant());
}

absl::Status fold_quant_ops(GraphModule& gm) {
  for (const std::string& path : gm.module_paths()) {
    auto* op = dynamic_cast<QuantOpModule*>(gm.module(path).get());
    if (!op) continue;
    const absl::Status observed = op->observe_weight();
    if (!observed.ok()) {
      return {observed.code(), fmt::format("{}: {}", path, message_of(observed))};
    }
    gm.set_module(path, with_integers(*op));
  }
  return absl::OkStatus();
}

absl::StatusOr<GraphModule> validation_copy(const GraphModule& model) {
  FXQ_RETURN_IF_ERROR(check_scales(model));
  ObservedGraphModule copy(model.copy(), {});
  copy.graph_module().eval();
  FXQ_RETURN_IF_ERROR(set_fake_quantize(copy, FakeQuantState::VALIDATION));
  FXQ_RETURN_IF_ERROR(fold_quant_ops(copy.graph_module()));
  return std::move(copy.graph_module());
}

// What the integers of a range narrower than their dtype's saturate at.
std::string clip_to_range(Exporter& exporter, const FakeQuantize& fake_quant, float scale,
                          const std::string& value) {
  const QRange range = fake_quant.range();
  if (range == range_of(fake_quant.dtype())) return value;
  return add_clip(exporter.builder(), value, DType::kF32, range.min * scale, range.max * scale);
}

}  // namespace

absl::StatusOr<GraphModule> exportable_copy(const GraphModule& model) {
  const auto stage = model.settings.find(kStageSetting);
  if (stage != model.settings.end() && stage->second == kStageObserved) {
    FXQ_ASSIGN_OR_RETURN(GraphModule copy, validation_copy(model));
    copy.train(model.is_training());
    return copy;
  }
  return model.copy();
}

bool is_fake_quantize(const GraphModule& gm, const Node& node) {
  return fake_quantize_of(gm, node) != nullptr;
}

std::optional<Type> fake_quantized_type(const GraphModule& gm, const Node& node) {
  const FakeQuantize* fake_quant = fake_quantize_of(gm, node);
  if (!fake_quant) return std::nullopt;
  Type type = Type::tensor(fake_quant->dtype());
  type.qparams = QParams{fake_quant->scale().item<float>(), 0};
  return type;
}

absl::Status write_fake_quantize(Exporter& exporter, const OpView& view) {
  const Node& node = *view.node();
  const FakeQuantize& fake_quant = *fake_quantize_of(exporter.graph_module(), node);
  const Node* const operand = node.args().empty() ? nullptr : node.args()[0].node();
  if (!operand) return absl::UnimplementedError("its operand is a constant");
  FXQ_ASSIGN_OR_RETURN(std::string value, exporter.tensor(operand));
  const Type type = *fake_quantized_type(exporter.graph_module(), node);
  value = clip_to_range(exporter, fake_quant, type.qparams->scale, value);
  FXQ_ASSIGN_OR_RETURN(value, exporter.quantize(value, type, node.name()));
  exporter.set(&node, OnnxValue::tensor(std::move(value)));
  return absl::OkStatus();
}

bool has_fake_quantized_weight(const GraphModule& gm, const Node& node) {
  return quant_op_of(gm, node) != nullptr;
}

absl::StatusOr<std::string> fake_quantized_weight(Exporter& exporter, const OpView& view) {
  const Node& node = *view.node();
  const QuantOpModule& op = *quant_op_of(exporter.graph_module(), node);
  return dequantized(exporter,
                     {fmt::format("{}.{}", node.target(), view.def().weight), op.tensor(kIntegers),
                      op.weight_fake_quant()->scale().detach(), view.def().channel_axis, true});
}

}  // namespace fxq
