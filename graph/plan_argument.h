// One argument of a node, compiled: a slot, a prebuilt constant, or a container of those.
#pragma once

#include <ATen/core/ivalue.h>
#include <ATen/core/jit_type.h>

#include <unordered_map>
#include <vector>

#include "fxq/graph/argument.h"
#include "fxq/graph/node.h"

namespace fxq {

using SlotMap = std::unordered_map<const Node*, int>;

class PlanArgument {
 public:
  // `type` is what the schema wants there; null if nobody knows.
  PlanArgument(const Argument& argument, const c10::TypePtr& type, const SlotMap& slots);

  c10::IValue evaluate(const std::vector<c10::IValue>& slots) const;

 private:
  enum class Kind : uint8_t { kSlot, kConstant, kList, kTuple, kDict };
  Kind kind_ = Kind::kConstant;
  int slot_ = -1;
  c10::IValue constant_;
  c10::TypePtr element_;                // of a list
  std::vector<PlanArgument> children_;  // of a dict: key, value, key, value, ...
};

}  // namespace fxq
