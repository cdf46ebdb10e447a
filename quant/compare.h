// How far two models, or two stages of one model, are apart: as a whole, and value by value. Values
// are matched by the names of their nodes; integers are compared as the reals that they stand for.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "fxq/graph/graph_module.h"

namespace fxq {

// 10 log10(sum reference^2 / sum (reference - test)^2), in double; infinity if they are equal.
// What is NaN or infinite in both alike is left out; in one only: -infinity.
// InvalidArgument if the shapes differ.
absl::StatusOr<double> sqnr_db(const at::Tensor& reference, const at::Tensor& test);
// Over all tensors of two results of one structure together.
absl::StatusOr<double> sqnr_db(const c10::IValue& reference, const c10::IValue& test);

// max |a - b| / max |a| over all tensors; 0 if both are empty. What is NaN or infinite in both
// alike is left out; in one only: infinity.
absl::StatusOr<double> max_relative_difference(const c10::IValue& a, const c10::IValue& b);

// All tensors of a result, in order; numbers as 0-dim ones.
std::vector<at::Tensor> flatten_tensors(const c10::IValue& value);

// Every tensor value of a run, by node name; integers dequantized. Runs integer nodes on reference
// kernels.
absl::StatusOr<std::map<std::string, at::Tensor>> record_values(const GraphModule& gm,
                                                                std::vector<c10::IValue> inputs);

struct ValueComparison {
  std::string node;
  double sqnr_db = 0;
};
// Values that both graphs have, in the reference's program order.
absl::StatusOr<std::vector<ValueComparison>> compare_graphs(const GraphModule& reference,
                                                            const GraphModule& test,
                                                            const std::vector<c10::IValue>& inputs);

}  // namespace fxq
