// Python's list and dict methods on containers whose structure is known while tracing: nothing is
// left of them in the graph. Pure functions over values; an index or key that is out of range
// throws c10::Error, which the reader turns into a problem with its source line.
#pragma once

#include <vector>

#include "fxq/tracer/value.h"

namespace torch::jit {
struct Node;
}

namespace fxq {

// args[0] is the list (or tuple); changes it where the method does. The result, or null if the
// method is unknown or needs numbers that are not constant.
ValuePtr call_list_op(const torch::jit::Node* node, const std::vector<ValuePtr>& args);

// The same for a dict.
ValuePtr call_dict_op(const torch::jit::Node* node, const std::vector<ValuePtr>& args);

}  // namespace fxq
