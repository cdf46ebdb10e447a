// Guards of a graph that is about to be exported.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "fxq/graph/graph_module.h"

namespace fxq {

// `typed` is a copy of it with the types that the file will have, in which what two runs agreed on
// may be written as constants. InvalidArgument lists the guards that a dynamic axis decides and
// that shaped the graph. Asserts that a dynamic axis decides did not: they are the result. All
// others hold, since the graph ran.
absl::StatusOr<std::vector<std::string>> check_guards(const GraphModule& model,
                                                      const GraphModule& typed);

}  // namespace fxq
