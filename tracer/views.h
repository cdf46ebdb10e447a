// Views: a tensor seen through another one, and how what is written into the view comes back into
// the tensor without writing. Works on traced values; the emitter passes itself as `call`.
#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "fxq/tracer/value.h"

namespace c10 {
struct FunctionSchema;
}  // namespace c10

namespace fxq {

// The call that made a view: args[0] is the tensor that it shows.
struct View {
  const c10::FunctionSchema* schema = nullptr;
  std::vector<ValuePtr> args;
};

using EmitCall =
    std::function<ValuePtr(const c10::FunctionSchema& schema, std::vector<ValuePtr> args)>;

// Remembers the call if what is written through its result can be put back.
void note_view(const c10::FunctionSchema& schema, const std::vector<ValuePtr>& args,
               const ValuePtr& result);

// The tensor at the end of a chain of such views; the value itself if it is none.
ValuePtr view_root(const ValuePtr& value);

// Both show one tensor, and no element of it is in both: y[:, 0] and y[:, 1], y[:2] and y[2:].
bool are_disjoint(const Value& a, const Value& b);

// Both are made by the same calls on one tensor: y[0] += 1 writes y[0] back into itself.
bool show_the_same(const Value& a, const Value& b);

// The root as it is after `changed` was written into the view `value`: a chain of slice_scatter,
// select_scatter and the like.
ValuePtr write_back(const ValuePtr& value, ValuePtr changed, const EmitCall& call);

// The view's call, again, on `base`.
ValuePtr show_again(const View& view, const ValuePtr& base, const EmitCall& call);

}  // namespace fxq
