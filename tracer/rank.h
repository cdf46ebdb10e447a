// Ranks that code like `x.dim() == 4` asks for: known without running anything when an op of fixed
// rank made the tensor. A convolution's input is taken to be a batch.
#pragma once

#include <c10/util/Optional.h>

#include <cstdint>

namespace fxq {

class GraphModule;
class Node;

// Nothing if the rank is not certain.
c10::optional<int64_t> rank_of(const GraphModule& gm, const Node* node);

}  // namespace fxq
