// Windows: where a pool looks: for each output row and column, a range of input rows and columns.
// One struct serves max, average and adaptive pools, of one or two spatial axes (a missing height
// is 1). Sizes and edges follow ATen's pooling_output_shape and adaptive start/end indices.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "fxq/runtime/attr_reader.h"
#include "fxq/runtime/kernel.h"

namespace fxq::kernels {

// Along one axis.
struct Window {
  int64_t begin = 0;   // first tap inside the input
  int64_t taps = 0;    // that lie inside the input, `dilation` apart
  int64_t padded = 0;  // taps when padding is counted, but not what ceil_mode adds beyond it
};

struct WindowAxis {
  int64_t extent = 1;  // of the input
  int64_t dilation = 1;
  std::vector<Window> windows;  // one per output position
};

struct Windows {
  int64_t images = 1;
  int64_t channels = 1;
  WindowAxis rows;
  WindowAxis columns;

  std::vector<int64_t> output_dims(const Desc& input) const;
};

// Attributes kernel_size, stride (none = kernel_size), padding, dilation, ceil_mode. The input must
// have rank 3 (one spatial axis) or 4; complaints go to the reader.
Windows sliding_windows(AttrReader& reader, const Desc& input);

// Attribute output_size; -1 keeps the input's extent.
Windows adaptive_windows(AttrReader& reader, const Desc& input);

}  // namespace fxq::kernels
