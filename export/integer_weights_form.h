// Integer weights and biases of a converted module as DequantizeLinear of an integer initializer.
#pragma once

#include <ATen/core/TensorBody.h>

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "fxq/graph/view.h"

namespace fxq {

class Exporter;

// The call is of a module that convert_fx made.
bool has_integer_weights(const GraphModule& gm, const Node& node);

// Integers that become floats in the file: initializers `path`, `path`_scale and, if asked for,
// `path`_zero_point. Scales: one, or one per index of `axis`. Nothing is shared.
struct IntegerTensor {
  std::string path;
  at::Tensor integers, scale;
  int64_t axis = 0;
  bool has_zero_point = true;
};
absl::StatusOr<std::string> dequantized(Exporter& exporter, const IntegerTensor& tensor);

// The module's "weight" or "bias", of which the first has a zero point.
IntegerTensor integer_param(const OpView& view, std::string_view name);
// Floats of it.
absl::StatusOr<std::string> integer_weights_form(Exporter& exporter, const OpView& view,
                                                 std::string_view name);

}  // namespace fxq
