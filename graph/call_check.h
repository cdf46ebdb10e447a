// What is wrong with one node, module or type, in words: shared by the verifier (a pass broke the
// graph) and the parser (a text is wrong). Pure; an empty answer means that nothing is.
#pragma once

#include <string>
#include <vector>

#include "fxq/graph/graph_module.h"

namespace fxq {

// The callee exists; arguments fit its schema in number, names and kinds; the epilogue is one that
// the op takes.
std::vector<std::string> check_call(const GraphModule& gm, const Node& node);
// Attributes are arguments of the op's schema, of fitting kinds.
std::vector<std::string> check_module(const LeafModule& module);
// Quantized types have integer dtypes and positive, finite scales.
std::vector<std::string> check_type(const Type& type);

}  // namespace fxq
