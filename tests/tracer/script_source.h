// Small modules written as TorchScript text, for tests: compile, trace, compare with their own
// forward.
#pragma once

#include <torch/csrc/jit/api/module.h>

#include <string>
#include <vector>

#include "fxq/graph/graph_module.h"
#include "fxq/tracer/trace.h"

namespace fxq {

// A module with the tensors w = f32[4,3,3,3], m = f32[5,3], b = f32[4], c = f32[5] (parameters,
// seeded), count = i64[] (a buffer) and the bool attribute `training`; `source` defines its
// methods.
torch::jit::Module script_module(const std::string& source);

// The graph's text without module and tensor lines; the status' text if it can't be traced.
std::string traced_text(const torch::jit::Module& module, const TraceOptions& options = {});

// Fails the test unless the traced graph gives what the module gives, to the last bit.
void expect_equal_results(const torch::jit::Module& module, const GraphModule& gm,
                          const std::vector<c10::IValue>& inputs);

// Tensors of a nested value, depth first.
std::vector<at::Tensor> tensors_in(const c10::IValue& value);

}  // namespace fxq
