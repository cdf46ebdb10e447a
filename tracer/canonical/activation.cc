// hardtanh(x, 0, 6) -> relu6(x)        clamp(x, 0, 6) -> relu6(x)
#include "fxq/tracer/canonical/canonical.h"

namespace fxq {
namespace {

bool is_zero_to_six(const ValuePtr& low, const ValuePtr& high) {
  return constant_number(*low) == 0.0 && constant_number(*high) == 6.0;
}

}  // namespace

bool hardtanh_to_relu6(Call& call, const CanonicalContext&) {
  if (!is_zero_to_six(call.arg("min_val"), call.arg("max_val"))) return false;
  return call.become("aten::relu6", {call.args[0]});
}

bool clamp_to_relu6(Call& call, const CanonicalContext&) {
  if (!is_zero_to_six(call.arg("min"), call.arg("max"))) return false;
  return call.become("aten::relu6", {call.args[0]});
}

}  // namespace fxq
