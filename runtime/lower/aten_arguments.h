// Arguments of an "aten" step as text in its attribute "args": JSON, a list in schema order, with
// {"input": i} for the step's i-th input. What cannot be said in JSON has a form of its own:
// {"float": "inf"}, {"device": "cpu"}, {"tuple": [...]}, {"dict": [[key, value], ...]}.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "fxq/graph/argument.h"

namespace fxq {

// `input` gives the index of the step's input that a node is.
using InputIndex = std::function<absl::StatusOr<int>(const Node*)>;
absl::StatusOr<std::string> encode_arguments(const std::vector<Argument>& arguments,
                                             const InputIndex& input);

}  // namespace fxq
