// Ops that move integers or pick among them; scale and zero point stay. The op's own code does it:
// on the integers themselves, or on their float values where ATen has no integer kernel (exact).
//   relu: max(q, 0)     relu6: min(max(q, 0), sat(rint(6 / scale)))
#include <algorithm>
#include <cmath>

#include "fxq/graph/tensor_convert.h"
#include "fxq/quant/reference_kernels/arithmetic.h"

namespace fxq {
namespace {

absl::StatusOr<c10::IValue> on_integers(const ReferenceCall& call) { return call.run(call.args); }

absl::StatusOr<c10::IValue> on_floats(const ReferenceCall& call) {
  std::vector<c10::IValue> args = call.args;
  args[0] = call.operand().to(at::kFloat);
  auto result = call.run(std::move(args));
  if (!result.ok()) return result.status();
  return result->toTensor().to(call.operand().scalar_type());
}

}  // namespace

#define FXQ_ON_INTEGERS(family)                                               \
  absl::StatusOr<c10::IValue> reference_##family(const ReferenceCall& call) { \
    return on_integers(call);                                                 \
  }                                                                           \
  std::string limits_##family(const OpView& view) { return no_epilogue(view); }

FXQ_ON_INTEGERS(Reshape)
FXQ_ON_INTEGERS(Permute)
FXQ_ON_INTEGERS(Slice)
FXQ_ON_INTEGERS(Split)
FXQ_ON_INTEGERS(ChannelShuffle)
FXQ_ON_INTEGERS(Identity)
// Not about values at all: sizes, and parts of tuples.
FXQ_ON_INTEGERS(Size)
FXQ_ON_INTEGERS(Sizes)
FXQ_ON_INTEGERS(GetItem)
FXQ_ON_INTEGERS(IntArithmetic)
FXQ_ON_INTEGERS(Compare)
FXQ_ON_INTEGERS(Logic)
FXQ_ON_INTEGERS(Guard)

#undef FXQ_ON_INTEGERS

absl::StatusOr<c10::IValue> reference_MaxPool(const ReferenceCall& call) { return on_floats(call); }
std::string limits_MaxPool(const OpView& view) {
  const std::string rank = wants_rank(view, view.op() == OpId::kMaxPool1d ? 3 : 4);
  return rank.empty() ? constant_attributes(view) : rank;
}

absl::StatusOr<c10::IValue> reference_UpsampleNearest(const ReferenceCall& call) {
  return on_floats(call);
}
std::string limits_UpsampleNearest(const OpView& view) {
  const std::string rank = wants_rank(view, 4);
  return rank.empty() ? no_epilogue(view) : rank;
}

absl::StatusOr<c10::IValue> reference_Pad(const ReferenceCall& call) { return on_floats(call); }
std::string limits_Pad(const OpView& view) {
  if (view.attr_float("value", 0.0) != 0.0) return "it pads with another value than 0";
  return no_epilogue(view);
}

absl::StatusOr<c10::IValue> reference_Relu(const ReferenceCall& call) {
  return call.operand().clamp_min(0);
}
std::string limits_Relu(const OpView& view) { return no_epilogue(view); }

absl::StatusOr<c10::IValue> reference_Relu6(const ReferenceCall& call) {
  const at::Tensor q = call.operand();
  const double high =
      std::min<double>(std::rint(6.0 / call.scale()), static_cast<double>(quant_max(*dtype_of(q))));
  return q.clamp(0, static_cast<int64_t>(high));
}
std::string limits_Relu6(const OpView& view) { return no_epilogue(view); }

}  // namespace fxq
