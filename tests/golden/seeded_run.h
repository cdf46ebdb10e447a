// Running a graph on inputs made from its placeholders' types, and comparing two results.
#pragma once

#include <ATen/core/ivalue.h>

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "fxq/graph/graph_module.h"

namespace fxq {

// One tensor per placeholder; symbols and unknown dims are 2. An error names placeholders whose
// type says too little.
absl::StatusOr<std::vector<c10::IValue>> seeded_inputs(const GraphModule& gm);

// All tensors of a result, in order; numbers as 0-dim tensors.
std::vector<at::Tensor> flattened(const c10::IValue& value);

// "" if both have the same tensors, `exact` or within 1e-4 of the largest value of `before`.
std::string difference(const c10::IValue& before, const c10::IValue& after, bool exact);

}  // namespace fxq
