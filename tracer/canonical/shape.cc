// pad(x, p, "constant", v) -> constant_pad_nd(x, p, v or 0)      t(w) -> transpose(w, 0, 1)
// _unsafe_view(x, s), view_as(x, like s) -> view(x, s)      split(x, [1, 2], dim) ->
// split_with_sizes(x, [1, 2], dim) upsample_nearest2d(x, size, sh, sw) -> upsample_nearest2d.vec(x,
// size, none)
#include <ATen/core/Tensor.h>
#include <ATen/core/function_schema.h>
#include <fmt/format.h>

#include "fxq/graph/graph.h"
#include "fxq/tracer/canonical/canonical.h"

namespace fxq {

bool pad_to_constant_pad(Call& call, const CanonicalContext&) {
  const ValuePtr& mode = call.arg("mode");
  if (!mode->is(Value::Kind::kConstant) || mode->constant.toStringRef() != "constant") return false;
  const ValuePtr& value = call.arg("value");
  const bool zero = value->is_none() || constant_number(*value) == 0.0;
  return call.become("aten::constant_pad_nd",
                     {call.args[0], call.args[1], zero ? make_constant(int64_t{0}) : value});
}

bool t_to_transpose(Call& call, const CanonicalContext& context) {
  const at::Tensor tensor = context.known_tensor(call.args[0]);
  if (!tensor.defined() || tensor.dim() != 2) return false;
  return call.become("aten::transpose.int",
                     {call.args[0], make_constant(int64_t{0}), make_constant(int64_t{1})});
}

bool split_sizes_to_split_with_sizes(Call& call, const CanonicalContext&) {
  return call.become("aten::split_with_sizes", call.args);
}

bool unsafe_view_to_view(Call& call, const CanonicalContext&) {
  return call.become("aten::view", call.args);
}

// Unsafe is to write into the parts, and nothing does: in-place ops on them become functional.
bool unsafe_to_safe(Call& call, const CanonicalContext&) {
  std::string name = call.schema->name();  // aten::unsafe_chunk
  name.erase(name.find("unsafe_"), 7);
  const std::string& overload = call.schema->overload_name();
  return call.become(overload.empty() ? name : name + "." + overload, call.args);
}

bool like_to_sizes(Call& call, const CanonicalContext& context) {
  const std::string name = call.schema->name();  // aten::view_as
  const ValuePtr sizes = context.emit("aten::size", {call.args[1]});
  std::vector<ValuePtr> args{call.args[0], sizes};
  if (name == "aten::expand_as") args.push_back(make_constant(false));
  return call.become(name.substr(0, name.rfind("_as")), std::move(args));
}

// The scales only matter to how sizes map back to source positions; without them ATen uses the
// sizes.
bool upsample_to_vec(Call& call, const CanonicalContext&) {
  for (size_t i = call.args.size() - 2; i < call.args.size(); ++i) {
    if (!call.args[i]->is_none()) return false;
  }
  std::vector<ValuePtr> args(call.args.begin(), call.args.end() - 1);
  return call.become(call.schema->name() + ".vec", std::move(args));
}

}  // namespace fxq
