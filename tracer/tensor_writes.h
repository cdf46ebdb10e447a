// Tensors from outside that a block of TorchScript code writes into: its graph's inputs, written
// directly, through views, as a branch's result or as a loop's variable. Pure functions over
// torch::jit IR.
#pragma once

#include <cstddef>
#include <set>

namespace torch::jit {
struct Graph;
}  // namespace torch::jit

namespace fxq {

// Indices of the graph's inputs. A list, if a tensor inside it is written.
std::set<size_t> tensor_writes(const torch::jit::Graph& graph);

}  // namespace fxq
