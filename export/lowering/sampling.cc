// grid_sampler -> GridSample     roi_align(x, [image, box], ...) -> RoiAlign(x, box, image)
#include <fmt/format.h>

#include <array>

#include "fxq/base/status.h"
#include "fxq/export/exporter.h"
#include "fxq/export/lowering/lowering.h"
#include "fxq/export/opset_forms.h"

namespace fxq {
namespace {

// The first with GridSample, and with RoiAlign's `aligned`.
constexpr int kSamplingOpset = 16;

// ATen's numbers for what ONNX has words for.
absl::StatusOr<std::string> word(const OpView& view, const char* name,
                                 const std::array<const char*, 3>& words) {
  const int64_t number = view.attr_int(name, -1);
  if (number >= 0 && number < 3) return std::string(words[static_cast<size_t>(number)]);
  return absl::UnimplementedError(fmt::format("its {} is no constant that ONNX has", name));
}

}  // namespace

absl::Status onnx_GridSample(Exporter& exporter, const OpView& view) {
  if (exporter.opset() < kSamplingOpset) {
    return absl::UnimplementedError(fmt::format("GridSample needs opset {}", kSamplingOpset));
  }
  if (view.operand(0)->type.rank() != 4) {
    return absl::UnimplementedError("a grid that is not one of images");
  }
  FXQ_ASSIGN_OR_RETURN(const std::string mode,
                       word(view, "interpolation_mode", {"bilinear", "nearest", "bicubic"}));
  FXQ_ASSIGN_OR_RETURN(const std::string padding,
                       word(view, "padding_mode", {"zeros", "border", "reflection"}));
  FXQ_ASSIGN_OR_RETURN(const std::string x, exporter.operand(view));
  FXQ_ASSIGN_OR_RETURN(const std::string grid, exporter.operand(view, 1));
  const auto corners = static_cast<int64_t>(view.attr_bool("align_corners"));
  return exporter.finish(
      view, exporter.builder().add(
                "GridSample", {x, grid},
                {{"mode", mode}, {"padding_mode", padding}, {"align_corners", corners}}));
}

// Before opset 16, RoiAlign is torchvision's with aligned=False.
absl::Status onnx_RoiAlign(Exporter& exporter, const OpView& view) {
  const bool aligned = view.attr_bool("aligned");
  const bool named = exporter.opset() >= kSamplingOpset;
  if (aligned && !named) {
    return absl::UnimplementedError(fmt::format("aligned=True needs opset {}", kSamplingOpset));
  }
  OnnxBuilder& builder = exporter.builder();
  FXQ_ASSIGN_OR_RETURN(const std::string x, exporter.operand(view));
  FXQ_ASSIGN_OR_RETURN(const std::string rois, exporter.operand(view, 1));
  const std::string first = add_slice(builder, rois, 1, 0, 1);
  const std::string images = add_cast(builder, add_squeeze(builder, first, {1}), DType::kI64);
  const std::string boxes = add_slice(builder, rois, 1, 1, 5);
  const int64_t ratio = view.attr_int("sampling_ratio", -1);
  OnnxAttributes attributes{
      {"output_height", view.attr_int("pooled_height")},
      {"output_width", view.attr_int("pooled_width")},
      {"sampling_ratio", std::max<int64_t>(ratio, 0)},
      {"spatial_scale", static_cast<float>(view.attr_float("spatial_scale", 1.0))}};
  if (named) {
    attributes.emplace_back("coordinate_transformation_mode",
                            std::string(aligned ? "half_pixel" : "output_half_pixel"));
  }
  return exporter.finish(view, builder.add("RoiAlign", {x, boxes, images}, std::move(attributes)));
}

}  // namespace fxq
