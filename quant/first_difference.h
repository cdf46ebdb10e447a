// first_difference: where an integer graph departs from the fake-quant graph that it was made of.
// Each op is judged on the same input: the integer graph's own values.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "fxq/graph/graph_module.h"

namespace c10 {
struct IValue;
}

namespace fxq {

struct FirstDifference {
  std::string node;  // the first op with more than `allowed` steps; "" if there is none
  double steps = 0;  // its largest difference, in steps of its own scale
  int compared = 0;  // integer values that were compared, up to there
};

// `observed`: a prepared graph in state VALIDATION; `quantized`: what convert_fx made of it.
absl::StatusOr<FirstDifference> first_difference(const GraphModule& observed,
                                                 const GraphModule& quantized,
                                                 const std::vector<c10::IValue>& inputs,
                                                 double allowed = 1.0);

}  // namespace fxq
