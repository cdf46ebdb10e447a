// ExampleRunner: computes values of a graph that is still growing, on example inputs, each node
// once. Works on clones: neither the inputs nor the module's tensors change. Borrows the
// GraphModule.
#pragma once

#include <ATen/core/ivalue.h>

#include <unordered_map>
#include <vector>

#include "absl/status/statusor.h"
#include "fxq/graph/graph_module.h"

namespace fxq {

class ExampleRunner {
 public:
  // One input per placeholder, in order; those of later placeholders may be added later.
  explicit ExampleRunner(const GraphModule& gm, std::vector<c10::IValue> inputs = {});
  void add_input(c10::IValue input) { inputs_.push_back(std::move(input)); }

  absl::StatusOr<c10::IValue> value_of(const Node* node);

 private:
  const GraphModule& gm_;
  std::vector<c10::IValue> inputs_;
  std::unordered_map<const Node*, c10::IValue> known_;
};

}  // namespace fxq
