// Sizes that a file leaves open (N of a dynamic axis, what data decide), and what is computed from
// them: no run on an example shows such a value, however many runs agree.
#pragma once

#include <functional>
#include <optional>
#include <unordered_map>
#include <vector>

#include "fxq/graph/graph_module.h"

namespace fxq {

// Asks for a number, a dtype, a device or a list of numbers, which a tensor's type answers.
bool asks_a_tensor(const Node& node);

using TypeOf = std::function<Type(const Node&)>;

// Of a tensor's sizes, or a part of that list: which items are open. None for other lists.
std::optional<std::vector<bool>> open_items(const Node& list, const TypeOf& type_of);

// Whether sizes that are open decide a question to a tensor, or to the list of its sizes. None for
// other nodes.
std::optional<bool> asks_open_sizes(const Node& node, const TypeOf& type_of);

class OpenSizes {
 public:
  explicit OpenSizes(TypeOf type_of) : type_of_(std::move(type_of)) {}

  // True if open sizes have a say in the node's value.
  bool decide(const Node& node);

 private:
  TypeOf type_of_;
  std::unordered_map<const Node*, bool> known_;
};

}  // namespace fxq
