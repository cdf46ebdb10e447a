// What a block of TorchScript code changes outside of itself: its graph's inputs that are lists or
// dicts and are written, directly, as a loop's variable or as an item of another container. Pure
// functions over torch::jit IR.
#pragma once

#include <cstddef>
#include <set>

namespace torch::jit {
struct Graph;
}  // namespace torch::jit

namespace fxq {

struct BlockWrites {
  std::set<size_t> inputs;  // indices of the graph's inputs that change
  std::set<size_t> items;   // those of them in which a list or dict inside changes
};

BlockWrites container_writes(const torch::jit::Graph& graph);

}  // namespace fxq
