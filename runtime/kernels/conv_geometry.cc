// out = (in + pad_before + pad_after - extent) / stride + 1, and for transposed convolutions
// out = (in - 1) * stride - pad_before - pad_after + extent + output_padding.
#include "fxq/runtime/kernels/conv_geometry.h"

#include <algorithm>

#include "fmt/format.h"

namespace fxq::conv {

int64_t ConvGeometry::macs() const {
  const int64_t pixels = transposed ? in_pixels() : out_pixels();
  return batch * pixels * out_channels * group_inputs() * taps();
}

bool ConvGeometry::padded() const {
  for (int axis = 0; axis < 3; ++axis) {
    if (pad_before[axis] > 0 || pad_after[axis] > 0) return true;
  }
  return false;
}

int ConvGeometry::row_axis() const {
  for (int axis = 0; axis < 2; ++axis) {
    if (in[axis] > 1 || out[axis] > 1 || kernel[axis] > 1) return axis;
  }
  return 2;
}

absl::Status infer_output(ConvGeometry& g) {
  for (int axis = 0; axis < 3; ++axis) {
    const int64_t pads = g.pad_before[axis] + g.pad_after[axis];
    if (g.transposed) {
      g.out[axis] =
          (g.in[axis] - 1) * g.stride[axis] - pads + g.extent(axis) + g.output_padding[axis];
    } else {
      const int64_t room = g.in[axis] + pads - g.extent(axis);
      g.out[axis] = room < 0 ? 0 : room / g.stride[axis] + 1;
    }
    if (g.out[axis] < 1) {
      return absl::InvalidArgumentError(fmt::format(
          "a window of {} (dilation included) does not fit an input of {} with padding {}",
          g.extent(axis), g.in[axis], pads));
    }
  }
  return absl::OkStatus();
}

RowBand slice_rows(const ConvGeometry& whole, int64_t begin, int64_t end) {
  RowBand band{whole, 0};
  const int axis = whole.row_axis();
  const int64_t first = begin * whole.stride[axis] - whole.pad_before[axis];
  const int64_t last = (end - 1) * whole.stride[axis] - whole.pad_before[axis] + whole.extent(axis);
  const int64_t low = std::clamp<int64_t>(first, 0, whole.in[axis]);
  const int64_t high = std::clamp<int64_t>(last, low, whole.in[axis]);
  band.input_begin = low;
  band.geometry.batch = 1;
  band.geometry.in[axis] = high - low;
  band.geometry.out[axis] = end - begin;
  band.geometry.pad_before[axis] = low - first;
  band.geometry.pad_after[axis] = last - high;
  return band;
}

ConvGeometry padding_applied(const ConvGeometry& geometry) {
  ConvGeometry padded = geometry;
  for (int axis = 0; axis < 3; ++axis) {
    padded.in[axis] += geometry.pad_before[axis] + geometry.pad_after[axis];
    padded.pad_before[axis] = padded.pad_after[axis] = 0;
  }
  return padded;
}

}  // namespace fxq::conv
