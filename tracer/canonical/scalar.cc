// add.Tensor(x, 1) -> add.Scalar(x, 1): TorchScript's traces keep Python numbers as 0-dim tensors.
// Exact where x has dimensions and is floating point, or where the number is no float; a number in
// front moves behind (add and mul commute), sub(1, x) becomes rsub(x, 1).
#include <ATen/core/Tensor.h>
#include <fmt/format.h>

#include "fxq/tracer/canonical/canonical.h"

namespace fxq {
namespace {

// The number in a 0-dim constant; null for anything else.
ValuePtr number_in(const ValuePtr& value) {
  if (value->is(Value::Kind::kNumber)) return value->items[0];
  if (!value->is_constant_tensor()) return nullptr;
  const at::Tensor& tensor = value->constant.toTensor();
  if (!tensor.defined() || tensor.dim() != 0 || tensor.is_cuda()) return nullptr;
  if (tensor.scalar_type() == at::kDouble) return make_constant(tensor.item<double>());
  if (tensor.scalar_type() == at::kLong) return make_constant(tensor.item<int64_t>());
  return nullptr;
}

// A number and a 0-dim tensor promote differently beside another 0-dim or integer tensor.
bool is_float_with_dims(const ValuePtr& value, const CanonicalContext& context) {
  if (!value->is(Value::Kind::kNode)) return false;
  const at::Tensor tensor = context.known_tensor(value);
  return !tensor.defined() || (tensor.dim() > 0 && tensor.is_floating_point());
}

}  // namespace

bool tensor_to_scalar(Call& call, const CanonicalContext& context) {
  const std::string base = call.schema->name();
  const std::string scalar = base + ".Scalar";
  std::vector<ValuePtr> rest(call.args.begin() + 2, call.args.end());
  const auto become = [&](const std::string& target, const ValuePtr& tensor,
                          const ValuePtr& number) {
    if (!is_float_with_dims(tensor, context)) return false;
    std::vector<ValuePtr> args{tensor, number};
    args.insert(args.end(), rest.begin(), rest.end());
    return call.become(target, std::move(args));
  };
  if (const ValuePtr number = number_in(call.args[1])) return become(scalar, call.args[0], number);
  const ValuePtr number = number_in(call.args[0]);
  const bool plain = rest.empty() || constant_number(*rest[0]) == 1.0;  // alpha
  if (!number || !plain) return false;
  if (base == "aten::add" || base == "aten::mul") return become(scalar, call.args[1], number);
  if (base == "aten::sub") return become("aten::rsub.Scalar", call.args[1], number);
  return false;
}

}  // namespace fxq
