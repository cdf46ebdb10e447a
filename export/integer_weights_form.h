// Integer weights and biases of a converted module as DequantizeLinear of an integer initializer.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "fxq/graph/view.h"

namespace fxq {

class Exporter;

// The call is of a module that convert_fx made.
bool has_integer_weights(const GraphModule& gm, const Node& node);

// Floats of the module's "weight" or "bias".
absl::StatusOr<std::string> integer_weights_form(Exporter& exporter, const OpView& view,
                                                 std::string_view name);

}  // namespace fxq
