// Shapes that data decides. infer guesses what a provider's step gives (KernelProvider runs it on
// zeros); where the step then gives other shapes, it says so by a status, and the executor binds
// the program anew with what it said and goes on from there.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "absl/status/status.h"

namespace fxq {

// Of each output of a step.
using ResultShapes = std::vector<std::vector<int64_t>>;
// By step.
using DataShapes = std::map<int, ResultShapes>;

// The failure of a step whose results have these shapes and not the ones it was bound with.
absl::Status results_have_shapes(const ResultShapes& shapes);
std::optional<ResultShapes> shapes_of_results(const absl::Status& status);

}  // namespace fxq
