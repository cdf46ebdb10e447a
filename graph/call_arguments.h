// The arguments of a call by the names of its schema, whatever its kind: conv(%x) of a module and
// conv2d(%x, %w, %b) have the same list. What compares calls argument by argument reads them here.
#pragma once

#include <string>
#include <vector>

#include "fxq/graph/graph_module.h"

namespace c10 {
struct Argument;
}

namespace fxq {

struct CallArgument {
  std::string name;
  Argument value;                         // none for a tensor of the module
  std::string tensor_path;                // of a tensor of the module: "layer1.conv.weight"
  const c10::Argument* formal = nullptr;  // null for the epilogue's
};

// True if the call would be the same without it.
bool is_default(const CallArgument& argument);

// In schema order, defaults filled in, then the epilogue if there is one. Empty for calls without a
// schema, and for calls that do not fit theirs.
std::vector<CallArgument> call_arguments(const GraphModule& gm, const Node& node);

}  // namespace fxq
