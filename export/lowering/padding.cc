// constant_pad_nd(x, [l, r, t, b], v), reflection_pad2d(x, ..), pad(x, .., mode) -> Pad
// pad(x, .., "circular") -> Concat of Slices
#include "fxq/base/status.h"
#include "fxq/export/exporter.h"
#include "fxq/export/lowering/lowering.h"
#include "fxq/export/opset_forms.h"

namespace fxq {
namespace {

struct Padding {
  std::vector<int64_t> begin, end;  // of each axis
};

// ATen's pairs start at the last axis.
absl::StatusOr<Padding> padding_of(const OpView& view, std::string_view argument) {
  const std::vector<int64_t> pairs = view.attr_ints(argument);
  const auto rank = static_cast<size_t>(std::max(view.operand(0)->type.rank(), 0));
  if (pairs.empty()) {
    return absl::UnimplementedError("its " + std::string(argument) + " is not all constants");
  }
  if (rank == 0) return absl::UnimplementedError("the rank of its input is not known");
  Padding padding{std::vector<int64_t>(rank, 0), std::vector<int64_t>(rank, 0)};
  for (size_t i = 0; 2 * i + 1 < pairs.size() && i < rank; ++i) {
    padding.begin[rank - 1 - i] = pairs[2 * i];
    padding.end[rank - 1 - i] = pairs[2 * i + 1];
  }
  return padding;
}

// A Pad in ONNX's own words; `value` fills in mode "constant".
absl::Status add_pad(Exporter& exporter, const OpView& view, std::string_view argument,
                     const std::string& mode) {
  OnnxBuilder& builder = exporter.builder();
  FXQ_ASSIGN_OR_RETURN(const Padding padding, padding_of(view, argument));
  FXQ_ASSIGN_OR_RETURN(const std::string x, exporter.operand(view));
  std::vector<int64_t> pads = padding.begin;
  pads.insert(pads.end(), padding.end.begin(), padding.end.end());
  std::vector<std::string> inputs{x, builder.ints(pads)};
  if (mode != "constant") {
    return exporter.finish(view, builder.add("Pad", std::move(inputs), {{"mode", mode}}));
  }
  const Argument value = view.attr("value");
  if (!value.is_none() && !value.is_constant()) {
    return absl::UnimplementedError("the number it pads with is computed while running");
  }
  inputs.push_back(
      builder.scalar(element_type(view.operand(0)->type), view.attr_float("value", 0.0)));
  return exporter.finish(view, builder.add("Pad", std::move(inputs)));
}

absl::Status pad_circular(Exporter& exporter, const OpView& view, std::string_view argument) {
  OnnxBuilder& builder = exporter.builder();
  FXQ_ASSIGN_OR_RETURN(const Padding padding, padding_of(view, argument));
  FXQ_ASSIGN_OR_RETURN(std::string x, exporter.operand(view));
  for (size_t i = 0; i < padding.begin.size(); ++i) {
    const auto axis = static_cast<int64_t>(i);
    std::vector<std::string> parts;
    if (padding.begin[i] > 0) parts.push_back(add_slice(builder, x, axis, -padding.begin[i], kEnd));
    parts.push_back(x);
    if (padding.end[i] > 0) parts.push_back(add_slice(builder, x, axis, 0, padding.end[i]));
    if (parts.size() > 1) x = builder.add("Concat", std::move(parts), {{"axis", axis}});
  }
  return exporter.finish(view, std::move(x));
}

}  // namespace

absl::Status onnx_Pad(Exporter& exporter, const OpView& view) {
  return add_pad(exporter, view, "pad", "constant");
}

absl::Status onnx_ReflectionPad(Exporter& exporter, const OpView& view) {
  return add_pad(exporter, view, "padding", "reflect");
}

absl::Status onnx_ReplicationPad(Exporter& exporter, const OpView& view) {
  return add_pad(exporter, view, "padding", "edge");
}

absl::Status onnx_PadMode(Exporter& exporter, const OpView& view) {
  const std::string mode = view.attr_string("mode", "constant");
  if (mode == "circular") return pad_circular(exporter, view, "pad");
  return add_pad(exporter, view, "pad", mode == "replicate" ? "edge" : mode);
}

}  // namespace fxq
