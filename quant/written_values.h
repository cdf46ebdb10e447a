// WrittenValues: which values some call writes into in place, directly or through a view. Such a
// value has to stay one float tensor: neither a fake quant nor integers may stand for it. Borrows
// the graph's nodes; a picture of the graph when it was made.
#pragma once

#include <unordered_map>

#include "fxq/graph/graph.h"

namespace fxq {

class WrittenValues {
 public:
  explicit WrittenValues(const Graph& graph);
  // A call that writes into the value; nullptr if none does.
  const Node* writer(const Node* value) const;

 private:
  const Node* root(const Node* value) const;

  // Values that may share memory lead to one root.
  std::unordered_map<const Node*, const Node*> shares_with_;
  std::unordered_map<const Node*, const Node*> writer_of_root_;
};

}  // namespace fxq
