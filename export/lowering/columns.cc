// im2col -> Conv with a kernel of ones and zeros per pixel of the window, Reshape
// col2im -> Reshape, ConvTranspose with the same kernels      exact for all finite values
// pixel_unshuffle -> SpaceToDepth, whose channels are in another order, Gather
#include <ATen/core/Tensor.h>
#include <ATen/ops/eye.h>

#include "fxq/base/status.h"
#include "fxq/export/exporter.h"
#include "fxq/export/lowering/lowering.h"
#include "fxq/export/opset_forms.h"

namespace fxq {
namespace {

struct Window {
  std::vector<int64_t> kernel, dilation, padding, stride;
  int64_t pixels() const { return kernel[0] * kernel[1]; }
};

absl::StatusOr<Window> window_of(const OpView& view) {
  Window window{view.attr_ints("kernel_size"), view.attr_ints("dilation"),
                view.attr_ints("padding"), view.attr_ints("stride")};
  for (std::vector<int64_t>* pair :
       {&window.kernel, &window.dilation, &window.padding, &window.stride}) {
    if (pair->size() == 1) pair->push_back(pair->front());
    if (pair->size() != 2) return absl::UnimplementedError("its window is no constant");
  }
  if (view.node()->type.dtype.value_or(DType::kF32) != DType::kF32) {
    return absl::UnimplementedError("windows of what is not f32");
  }
  return window;
}

OnnxAttributes attributes_of(const Window& window, int64_t channels) {
  const std::vector<int64_t> pads{window.padding[0], window.padding[1], window.padding[0],
                                  window.padding[1]};
  return {{"kernel_shape", window.kernel},
          {"dilations", window.dilation},
          {"pads", pads},
          {"strides", window.stride},
          {"group", channels}};
}

// Channel c * pixels + p takes, or gives, pixel p of channel c.
absl::StatusOr<std::string> kernels(Exporter& exporter, const OpView& view, const Window& window,
                                    int64_t channels) {
  const at::Tensor one =
      at::eye(window.pixels()).view({window.pixels(), 1, window.kernel[0], window.kernel[1]});
  return exporter.derived(view.node()->name() + ".window", one.repeat({channels, 1, 1, 1}));
}

// Size of the axis, counted from the back; -1 if it is not known.
int64_t size_from_back(const Type& type, size_t from_back) {
  const auto rank = type.dims ? type.dims->size() : 0;
  return rank < from_back ? -1 : (*type.dims)[rank - from_back].size;
}

struct Batched {
  std::string x;
  bool added = false;
};

// With a batch axis in front, if the call has none.
absl::StatusOr<Batched> with_batch(Exporter& exporter, const OpView& view, int rank) {
  FXQ_ASSIGN_OR_RETURN(std::string x, exporter.operand(view));
  const int own = view.operand(0)->type.rank();
  if (own == rank) return Batched{std::move(x), false};
  if (own != rank - 1) return absl::UnimplementedError("the rank of its input is not known");
  return Batched{add_unsqueeze(exporter.builder(), x, {0}), true};
}

absl::Status finish(Exporter& exporter, const OpView& view, const Batched& batched, std::string y) {
  if (batched.added) y = add_squeeze(exporter.builder(), y, {0});
  return exporter.finish(view, std::move(y));
}

}  // namespace

absl::Status onnx_Im2Col(Exporter& exporter, const OpView& view) {
  OnnxBuilder& builder = exporter.builder();
  const int64_t channels = size_from_back(view.operand(0)->type, 3);
  if (channels < 0) return absl::UnimplementedError("the number of its channels is not known");
  FXQ_ASSIGN_OR_RETURN(const Window window, window_of(view));
  FXQ_ASSIGN_OR_RETURN(const Batched x, with_batch(exporter, view, 4));
  FXQ_ASSIGN_OR_RETURN(const std::string weight, kernels(exporter, view, window, channels));
  const std::string pixels = builder.add("Conv", {x.x, weight}, attributes_of(window, channels));
  return finish(exporter, view, x, add_reshape(builder, pixels, {0, 0, -1}));
}

absl::Status onnx_Col2Im(Exporter& exporter, const OpView& view) {
  OnnxBuilder& builder = exporter.builder();
  FXQ_ASSIGN_OR_RETURN(const Window window, window_of(view));
  const std::vector<int64_t> output = view.attr_ints("output_size");
  const int64_t columns = size_from_back(view.operand(0)->type, 2);
  if (columns < 0) return absl::UnimplementedError("the number of its columns is not known");
  if (output.size() != 2) return absl::UnimplementedError("its output_size is no constant");
  const int64_t channels = columns / window.pixels();
  std::vector<int64_t> apart{0, 0}, missing;
  for (size_t i = 0; i < 2; ++i) {
    const int64_t reach = window.dilation[i] * (window.kernel[i] - 1) + 1;
    const int64_t free = output[i] + 2 * window.padding[i] - reach;
    apart.push_back(free / window.stride[i] + 1);
    missing.push_back(free % window.stride[i]);
  }
  FXQ_ASSIGN_OR_RETURN(const Batched x, with_batch(exporter, view, 3));
  FXQ_ASSIGN_OR_RETURN(const std::string weight, kernels(exporter, view, window, channels));
  OnnxAttributes attributes = attributes_of(window, channels);
  attributes.emplace_back("output_padding", missing);
  const std::string pixels = add_reshape(builder, x.x, apart);
  const std::string y = builder.add("ConvTranspose", {pixels, weight}, std::move(attributes));
  return finish(exporter, view, x, y);
}

// SpaceToDepth gives (pixel, channel), ATen (channel, pixel).
absl::Status onnx_PixelUnshuffle(Exporter& exporter, const OpView& view) {
  OnnxBuilder& builder = exporter.builder();
  const int64_t channels = size_from_back(view.operand(0)->type, 3);
  const int64_t factor = view.attr_int("downscale_factor");
  if (channels < 0) return absl::UnimplementedError("the number of its channels is not known");
  if (factor < 1) return absl::UnimplementedError("its factor is no constant");
  FXQ_ASSIGN_OR_RETURN(const Batched x, with_batch(exporter, view, 4));
  const std::string deep = builder.add("SpaceToDepth", {x.x}, {{"blocksize", factor}});
  std::vector<int64_t> order;
  for (int64_t channel = 0; channel < channels; ++channel) {
    for (int64_t pixel = 0; pixel < factor * factor; ++pixel) {
      order.push_back(pixel * channels + channel);
    }
  }
  const std::string indices = builder.ints(order);
  return finish(exporter, view, x, builder.add("Gather", {deep, indices}, {{"axis", int64_t{1}}}));
}

}  // namespace fxq
