// upsample_nearest2d, upsample_bilinear2d -> Resize, by sizes [shape[:2], output_size] or by scales
#include <limits>

#include "fxq/base/status.h"
#include "fxq/export/exporter.h"
#include "fxq/export/lowering/lowering.h"
#include "fxq/export/opset_forms.h"

namespace fxq {
namespace {

// {1, 1, height, width} of the call's scale_factors; empty if it has none.
std::vector<float> scales(const OpView& view) {
  const Argument factors = view.attr("scale_factors");
  if (!factors.items()) return {};
  std::vector<float> result{1.0F, 1.0F};
  for (const Argument& factor : *factors.items()) {
    if (const auto* real = factor.get_if<double>()) result.push_back(static_cast<float>(*real));
  }
  return result;
}

// ONNX Runtime turns DequantizeLinear, Resize, QuantizeLinear into a Resize of integers, which cuts
// fractions off: half a step too low on average. A Max that changes nothing keeps it in floats.
std::string keep_in_floats(OnnxBuilder& builder, const OpView& view, const std::string& y) {
  if (!view.node()->type.is_quantized() || view.op() == OpId::kUpsampleNearest2d) return y;
  const std::string lowest =
      builder.scalar(DType::kF32, static_cast<double>(std::numeric_limits<float>::lowest()));
  return builder.add("Max", {y, lowest});
}

}  // namespace

absl::Status onnx_Resize(Exporter& exporter, const OpView& view) {
  OnnxBuilder& builder = exporter.builder();
  const bool nearest = view.op() == OpId::kUpsampleNearest2d;
  const std::string coordinates = nearest                           ? "asymmetric"
                                  : view.attr_bool("align_corners") ? "align_corners"
                                                                    : "half_pixel";
  OnnxAttributes attributes{{"mode", std::string(nearest ? "nearest" : "linear")},
                            {"coordinate_transformation_mode", coordinates}};
  if (nearest) attributes.emplace_back("nearest_mode", std::string("floor"));
  FXQ_ASSIGN_OR_RETURN(const std::string x, exporter.operand(view));
  const std::vector<float> factors = scales(view);
  // Opset 11 to 12 want the inputs that opset 13 may leave out.
  const std::string roi = builder.opset() < 13 ? builder.floats({}) : "";
  if (factors.size() == 4) {
    const std::string list = builder.floats(factors);
    const std::string y = builder.add("Resize", {x, roi, list}, std::move(attributes));
    return exporter.finish(view, keep_in_floats(builder, view, y));
  }
  FXQ_ASSIGN_OR_RETURN(const OnnxValue size, exporter.ints(view.attr("output_size")));
  const std::string shape = builder.add("Shape", {x});
  const std::string front = add_slice(builder, shape, 0, 0, 2);
  const std::string back = exporter.int_list(size);
  const std::string sizes = builder.add("Concat", {front, back}, {{"axis", int64_t{0}}});
  const std::string none = builder.opset() < 13 ? builder.floats({}) : "";
  const std::string y = builder.add("Resize", {x, roi, none, sizes}, std::move(attributes));
  return exporter.finish(view, keep_in_floats(builder, view, y));
}

}  // namespace fxq
