// What the upsampling kernels share: the sizes of their output and where its pixels come from.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "fxq/runtime/attr_reader.h"
#include "fxq/runtime/kernel.h"

namespace fxq::kernels {

struct Resize {
  std::vector<int64_t> sizes;   // of the output's two spatial axes
  std::vector<double> factors;  // empty without scale_factors

  // How many input pixels an output pixel along spatial axis 0 or 1 is apart from the next, as ATen
  // computes it: 1 / factor, or extent / outputs without factors.
  float step(int axis, int64_t extent) const;
};

// From input 1 (a register of ints), attribute output_size, or attribute scale_factors (output =
// floor(extent * factor)). Complains about all that is wrong with them and with input 0.
Resize read_resize(AttrReader& reader, Descs inputs);

absl::StatusOr<std::vector<Desc>> infer_resize(const Step& step, Descs inputs);

}  // namespace fxq::kernels
