// What a call's result may also look like: the call runs again with other numbers where its numbers
// are not this run's alone, and with longer and shorter tensors where sizes are open. A size of the
// result that changes with them is open too.
#pragma once

#include <functional>
#include <vector>

#include "absl/status/statusor.h"
#include "fxq/graph/graph_module.h"

namespace fxq {

// What is open in the values that a call reads.
struct Doubts {
  std::function<Type(const Node&)> type_of;         // sizes that are open are unknown
  std::function<bool(const Node&)> is_open_number;  // or a list of numbers
};

// One call as it ran.
struct CallSeen {
  const Node& node;
  const std::vector<c10::IValue>& args;
  const std::vector<c10::IValue>& kwargs;
  const c10::IValue& result;
};

using RunAgain = std::function<absl::StatusOr<c10::IValue>(std::vector<c10::IValue> args,
                                                           std::vector<c10::IValue> kwargs)>;

// The result's type without the sizes that may be others. No size at all is left where no other run
// is possible. Nothing is written into `call`'s values.
Type type_after_trials(const CallSeen& call, const Doubts& doubts, const RunAgain& run);

}  // namespace fxq
