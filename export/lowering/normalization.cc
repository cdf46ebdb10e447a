// batch_norm -> BatchNormalization     instance_norm -> InstanceNormalization
// layer_norm -> LayerNormalization (opset 17), else (x - mean) / sqrt(var + eps) * w + b
// group_norm -> [N, G, -1] -> InstanceNormalization -> x's shape * w + b
#include <ATen/core/Tensor.h>

#include "fxq/base/status.h"
#include "fxq/export/exporter.h"
#include "fxq/export/lowering/lowering.h"
#include "fxq/export/opset_forms.h"

namespace fxq {
namespace {

constexpr int kLayerNormOpset = 17;
constexpr int kTrainingOpset = 14;

// Channels of a norm, from its tensors or its input's type; -1 if unknown.
int64_t channels(const OpView& view) {
  for (const char* name : {"weight", "running_mean"}) {
    const at::Tensor tensor = view.param(name);
    if (tensor.defined()) return tensor.numel();
  }
  const Type& type = view.operand(0)->type;
  return type.rank() > 1 ? (*type.dims)[1].size : -1;
}

absl::StatusOr<std::string> param_or(Exporter& exporter, const OpView& view, const char* name,
                                     float fallback, int64_t count) {
  FXQ_ASSIGN_OR_RETURN(std::string given, exporter.param(view, name));
  if (!given.empty()) return given;
  if (count < 0) return absl::UnimplementedError("its number of channels is not known");
  return exporter.builder().floats(std::vector<float>(static_cast<size_t>(count), fallback));
}

OnnxAttributes epsilon(const OpView& view) {
  return {{"epsilon", static_cast<float>(view.attr_float("eps", 1e-5))}};
}

absl::StatusOr<std::string> running_norm(Exporter& exporter, const OpView& view, bool training) {
  const int64_t count = channels(view);
  FXQ_ASSIGN_OR_RETURN(const std::string x, exporter.operand(view));
  FXQ_ASSIGN_OR_RETURN(const std::string scale, param_or(exporter, view, "weight", 1.0F, count));
  FXQ_ASSIGN_OR_RETURN(const std::string bias, param_or(exporter, view, "bias", 0.0F, count));
  FXQ_ASSIGN_OR_RETURN(const std::string mean, param_or(exporter, view, "running_mean", 0, count));
  FXQ_ASSIGN_OR_RETURN(const std::string var, param_or(exporter, view, "running_var", 1, count));
  OnnxCall call{"BatchNormalization", {x, scale, bias, mean, var}, epsilon(view), ""};
  if (!training) return exporter.builder().add_many(std::move(call), 1)[0];
  call.attributes.emplace_back("training_mode", int64_t{1});
  call.attributes.emplace_back("momentum", 1.0F - static_cast<float>(view.attr_float("momentum")));
  return exporter.builder().add_many(std::move(call), 3)[0];
}

// y * weight + bias with parameters of shape [C, 1, ...] for `spatial` trailing axes.
absl::StatusOr<std::string> scale_channels(Exporter& exporter, const OpView& view, std::string y,
                                           int spatial) {
  std::vector<int64_t> shape{-1};
  shape.resize(static_cast<size_t>(spatial) + 1, 1);
  for (const auto& [name, op_type] : {std::pair{"weight", "Mul"}, std::pair{"bias", "Add"}}) {
    FXQ_ASSIGN_OR_RETURN(std::string factor, exporter.param(view, name));
    if (factor.empty()) continue;
    factor = add_reshape(exporter.builder(), factor, shape);
    y = exporter.builder().add(op_type, {y, factor});
  }
  return y;
}

}  // namespace

absl::Status onnx_BatchNormalization(Exporter& exporter, const OpView& view) {
  const bool training = in_training(exporter, view);
  if (!view.param("running_mean").defined() && !training) {
    return absl::UnimplementedError("it has no running statistics");
  }
  if (training && exporter.opset() < kTrainingOpset) {
    return absl::UnimplementedError("batch norm in training mode needs opset 14");
  }
  FXQ_ASSIGN_OR_RETURN(std::string y, running_norm(exporter, view, training));
  return exporter.finish(view, std::move(y));
}

absl::Status onnx_InstanceNormalization(Exporter& exporter, const OpView& view) {
  if (!view.attr_bool("use_input_stats", true) && view.param("running_mean").defined()) {
    FXQ_ASSIGN_OR_RETURN(std::string y, running_norm(exporter, view, false));
    return exporter.finish(view, std::move(y));
  }
  const int64_t count = channels(view);
  FXQ_ASSIGN_OR_RETURN(const std::string x, exporter.operand(view));
  FXQ_ASSIGN_OR_RETURN(const std::string scale, param_or(exporter, view, "weight", 1.0F, count));
  FXQ_ASSIGN_OR_RETURN(const std::string bias, param_or(exporter, view, "bias", 0.0F, count));
  return exporter.finish(
      view, exporter.builder().add("InstanceNormalization", {x, scale, bias}, epsilon(view)));
}

absl::Status onnx_LayerNorm(Exporter& exporter, const OpView& view) {
  OnnxBuilder& builder = exporter.builder();
  const auto rank = static_cast<int64_t>(view.attr_ints("normalized_shape").size());
  if (rank == 0) return absl::UnimplementedError("its normalized_shape is computed while running");
  FXQ_ASSIGN_OR_RETURN(const std::string x, exporter.operand(view));
  FXQ_ASSIGN_OR_RETURN(const std::string weight, exporter.param(view, "weight"));
  FXQ_ASSIGN_OR_RETURN(const std::string bias, exporter.param(view, "bias"));
  if (builder.opset() >= kLayerNormOpset && !weight.empty()) {
    OnnxAttributes attributes = epsilon(view);
    attributes.emplace_back("axis", -rank);
    return exporter.finish(
        view, builder.add("LayerNormalization", {x, weight, bias}, std::move(attributes)));
  }
  std::vector<int64_t> axes;
  for (int64_t axis = -rank; axis < 0; ++axis) axes.push_back(axis);
  const std::string mean = add_reduce(builder, x, {"ReduceMean", axes, true});
  const std::string centred = builder.add("Sub", {x, mean});
  const std::string squares = builder.add("Mul", {centred, centred});
  const std::string variance = add_reduce(builder, squares, {"ReduceMean", axes, true});
  const std::string eps = builder.scalar(DType::kF32, view.attr_float("eps", 1e-5));
  const std::string shifted = builder.add("Add", {variance, eps});
  const std::string deviation = builder.add("Sqrt", {shifted});
  std::string y = builder.add("Div", {centred, deviation});
  if (!weight.empty()) y = builder.add("Mul", {y, weight});
  if (!bias.empty()) y = builder.add("Add", {y, bias});
  return exporter.finish(view, std::move(y));
}

absl::Status onnx_GroupNorm(Exporter& exporter, const OpView& view) {
  OnnxBuilder& builder = exporter.builder();
  const int rank = view.operand(0)->type.rank();
  if (rank < 2) return absl::UnimplementedError("the rank of its input is not known");
  const int64_t groups = view.attr_int("num_groups");
  FXQ_ASSIGN_OR_RETURN(const std::string x, exporter.operand(view));
  const std::string shape = builder.add("Shape", {x});
  const std::string grouped = add_reshape(builder, x, {0, groups, -1});
  const std::vector<float> one(static_cast<size_t>(groups), 1.0F);
  const std::vector<float> zero(static_cast<size_t>(groups), 0.0F);
  const std::string ones = builder.floats(one);
  const std::string zeros = builder.floats(zero);
  const std::string normal =
      builder.add("InstanceNormalization", {grouped, ones, zeros}, epsilon(view));
  std::string y = builder.add("Reshape", {normal, shape});
  FXQ_ASSIGN_OR_RETURN(y, scale_channels(exporter, view, std::move(y), rank - 2));
  return exporter.finish(view, std::move(y));
}

}  // namespace fxq
