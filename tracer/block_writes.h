// What a block of TorchScript code changes outside of itself: its graph's inputs that are lists or
// dicts and are written, directly or as a loop's variable. Pure functions over torch::jit IR.
#pragma once

#include <cstddef>
#include <set>
#include <string>

namespace torch::jit {
struct Graph;
}  // namespace torch::jit

namespace fxq {

struct BlockWrites {
  std::set<size_t> inputs;  // indices of the graph's inputs that change
  std::string refusal;      // why the changes can't be followed; empty if they can
};

BlockWrites container_writes(const torch::jit::Graph& graph);

}  // namespace fxq
