// conv -> Conv     conv_transpose -> ConvTranspose     linear -> Gemm (2-D) or MatMul + Add
#include <ATen/core/Tensor.h>
#include <fmt/format.h>

#include "fxq/base/status.h"
#include "fxq/export/exporter.h"
#include "fxq/export/integer_weights_form.h"
#include "fxq/export/lowering/lowering.h"
#include "fxq/export/lowering/q_operator.h"
#include "fxq/export/opset_forms.h"
#include "fxq/export/prepared_form.h"

namespace fxq {
namespace {

// Spatial axes of the op: conv2d -> 2.
size_t spatial_rank(OpId op) {
  switch (op) {
    case OpId::kConv1d:
    case OpId::kConvTranspose1d:
      return 1;
    case OpId::kConv3d:
    case OpId::kConvTranspose3d:
      return 3;
    default:
      return 2;
  }
}

std::vector<int64_t> spatial(const OpView& view, std::string_view name, int64_t fallback) {
  const size_t rank = spatial_rank(view.op());
  std::vector<int64_t> values = view.attr_ints(name, {fallback});
  if (values.size() == 1) values.resize(rank, values[0]);
  return values;
}

// begin..., end...
absl::StatusOr<std::vector<int64_t>> pads(const OpView& view) {
  std::vector<int64_t> begin = spatial(view, "padding", 0);
  const std::string word = view.attr_string("padding");
  std::vector<int64_t> end = begin;
  if (word == "same") {
    const at::Tensor weight = view.param("weight");
    if (!weight.defined()) {
      return absl::UnimplementedError("padding 'same' with a weight computed while running");
    }
    const std::vector<int64_t> dilation = spatial(view, "dilation", 1);
    for (size_t i = 0; i < begin.size(); ++i) {
      const int64_t total = dilation[i] * (weight.size(static_cast<int64_t>(i) + 2) - 1);
      begin[i] = total / 2;
      end[i] = total - total / 2;
    }
  }
  begin.insert(begin.end(), end.begin(), end.end());
  return begin;
}

absl::Status convolution(Exporter& exporter, const OpView& view, const std::string& op_type) {
  const size_t rank = spatial_rank(view.op());
  FXQ_ASSIGN_OR_RETURN(std::string x, exporter.operand(view));
  FXQ_ASSIGN_OR_RETURN(std::vector<int64_t> padding, pads(view));
  OnnxAttributes attributes{{"strides", spatial(view, "stride", 1)},
                            {"pads", std::move(padding)},
                            {"dilations", spatial(view, "dilation", 1)},
                            {"group", view.attr_int("groups", 1)}};
  if (const at::Tensor w = view.param("weight"); w.defined()) {
    attributes.emplace_back("kernel_shape", w.sizes().slice(2).vec());
  }
  if (op_type == "ConvTranspose") {
    attributes.emplace_back("output_padding", spatial(view, "output_padding", 0));
  }
  const bool unbatched = view.operand(0)->type.rank() == static_cast<int>(rank) + 1;
  if (op_type == "Conv" && !unbatched) {
    FXQ_ASSIGN_OR_RETURN(const bool done, write_q_conv(exporter, view, attributes));
    if (done) return absl::OkStatus();
  }
  FXQ_ASSIGN_OR_RETURN(const std::string weight, exporter.param(view, "weight"));
  FXQ_ASSIGN_OR_RETURN(const std::string bias, exporter.param(view, "bias"));
  if (unbatched) x = add_unsqueeze(exporter.builder(), x, {0});
  std::string y = exporter.builder().add(op_type, {x, weight, bias}, std::move(attributes));
  if (unbatched) y = add_squeeze(exporter.builder(), y, {0});
  return exporter.finish(view, std::move(y));
}

// [in, out] for MatMul: a constant where it can be one.
absl::StatusOr<std::string> transposed_weight(Exporter& exporter, const OpView& view) {
  const at::Tensor weight = view.param("weight");
  if (weight.defined() && exporter.options().do_constant_folding &&
      !has_integer_weights(exporter.graph_module(), *view.node()) &&
      !has_fake_quantized_weight(exporter.graph_module(), *view.node())) {
    return exporter.derived(view.node()->target() + ".weight_t", weight.detach().t().contiguous());
  }
  FXQ_ASSIGN_OR_RETURN(const std::string floats, exporter.param(view, "weight"));
  return exporter.builder().add("Transpose", {floats}, {{"perm", std::vector<int64_t>{1, 0}}});
}

}  // namespace

absl::Status onnx_Conv(Exporter& exporter, const OpView& view) {
  return convolution(exporter, view, "Conv");
}

absl::Status onnx_ConvTranspose(Exporter& exporter, const OpView& view) {
  return convolution(exporter, view, "ConvTranspose");
}

absl::Status onnx_Linear(Exporter& exporter, const OpView& view) {
  OnnxBuilder& builder = exporter.builder();
  FXQ_ASSIGN_OR_RETURN(const std::string x, exporter.operand(view));
  FXQ_ASSIGN_OR_RETURN(const bool done, write_q_linear(exporter, view));
  if (done) return absl::OkStatus();
  FXQ_ASSIGN_OR_RETURN(const std::string bias, exporter.param(view, "bias"));
  if (view.operand(0)->type.rank() == 2) {
    FXQ_ASSIGN_OR_RETURN(const std::string weight, exporter.param(view, "weight"));
    return exporter.finish(view, builder.add("Gemm", {x, weight, bias}, {{"transB", int64_t{1}}}));
  }
  FXQ_ASSIGN_OR_RETURN(const std::string transposed, transposed_weight(exporter, view));
  std::string y = builder.add("MatMul", {x, transposed});
  if (!bias.empty()) y = builder.add("Add", {y, bias});
  return exporter.finish(view, std::move(y));
}

}  // namespace fxq
