// ConvGeometry: the shape of a (transposed) convolution with up to three spatial axes, always
// written as depth, height, width (missing leading axes have extent 1). A linear layer is a 1x1
// convolution whose rows lie along the width. Plain data; slice_rows cuts a convolution into dense
// bands.
#pragma once

#include <array>
#include <cstdint>

#include "absl/status/statusor.h"

namespace fxq::conv {

using Axes = std::array<int64_t, 3>;

struct ConvGeometry {
  bool transposed = false;
  int64_t batch = 1;
  int64_t in_channels = 1;
  int64_t out_channels = 1;
  int64_t groups = 1;
  Axes in = {1, 1, 1};
  Axes out = {1, 1, 1};
  Axes kernel = {1, 1, 1};
  Axes stride = {1, 1, 1};
  Axes dilation = {1, 1, 1};
  Axes pad_before = {0, 0, 0};
  Axes pad_after = {0, 0, 0};
  Axes output_padding = {0, 0, 0};  // of a transposed convolution

  int64_t group_inputs() const { return in_channels / groups; }
  int64_t group_outputs() const { return out_channels / groups; }
  int64_t taps() const { return kernel[0] * kernel[1] * kernel[2]; }
  int64_t in_pixels() const { return in[0] * in[1] * in[2]; }  // of one image
  int64_t out_pixels() const { return out[0] * out[1] * out[2]; }
  int64_t macs() const;
  bool padded() const;

  // Input pixels that one output pixel sees along an axis, holes of the dilation included.
  int64_t extent(int axis) const { return dilation[axis] * (kernel[axis] - 1) + 1; }
  // The outermost axis with more than one pixel or tap: "rows" are counted along it.
  int row_axis() const;
};

// Computes `out` from the rest; InvalidArgument if the window fits nowhere.
absl::Status infer_output(ConvGeometry& geometry);

// Output rows [begin, end) of one image as a convolution of its own over the input rows
// [input_begin, input_begin + geometry.in[row_axis]).
struct RowBand {
  ConvGeometry geometry;
  int64_t input_begin = 0;
};

// Not for transposed convolutions. A band that sees nothing but padding has an input of 0 rows.
RowBand slice_rows(const ConvGeometry& whole, int64_t begin, int64_t end);

// The same convolution over an input that was already padded.
ConvGeometry padding_applied(const ConvGeometry& geometry);

}  // namespace fxq::conv
