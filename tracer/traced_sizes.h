// Traces of F.interpolate(recompute_scale_factor=True) compute a size in a real 0-dim tensor. Here
// it is found again as a fraction of another size.
#pragma once

#include <cstdint>
#include <optional>

#include "fxq/graph/graph_module.h"

namespace fxq {

class Emitter;

struct SizeFraction {
  Node* number;  // an int
  int64_t numerator;
  int64_t denominator;
};

// `tensor` is floor(number * numerator / denominator) of reals that hold both exactly: binary
// fractions of small numerators.
std::optional<SizeFraction> size_fraction(const GraphModule& gm, const Emitter& emitter,
                                          const Node* tensor);

}  // namespace fxq
