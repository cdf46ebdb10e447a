// y = relu(conv + add) in [0, y_max], add in [a_min, a_max]:
// below -a_max conv gives y = 0 whatever is added, above y_max - a_min it gives y_max.
#include "fxq/export/ort_profile.h"

#include <cmath>

#include "fxq/quant/qdtype.h"

namespace fxq {
namespace {

struct Reals {
  float low = 0, high = 0;
};

std::optional<Reals> reals_of(const Type& type) {
  const bool is_byte = type.dtype == DType::kI8 || type.dtype == DType::kU8;
  if (!type.qparams || !is_byte) return std::nullopt;
  const QRange range = range_of(*type.dtype);
  const auto zero = static_cast<float>(type.qparams->zero_point);
  return Reals{(static_cast<float>(range.min) - zero) * type.qparams->scale,
               (static_cast<float>(range.max) - zero) * type.qparams->scale};
}

}  // namespace

std::optional<Type> summand_type(const Node& node, const ExportOptions& options) {
  const Node* other = node.epilogue_add();
  if (options.profile != ExportProfile::kOrt || !other || !is_weighted(node.op())) return {};
  if (node.op() == OpId::kLinear && node.type.rank() != 2) return {};
  const std::optional<Reals> sum = reals_of(node.type);
  const std::optional<Reals> added = reals_of(other->type);
  if (!sum || !added) return {};
  const bool rectified = node.epilogue_activation() != OpId::kNone;
  const float low = (rectified ? 0.0F : sum->low) - added->high;
  const float high = sum->high - added->low;
  constexpr float kSteps = 255.0F;
  Type type = node.type;
  type.dtype = DType::kU8;
  const float scale = (high - low) / kSteps;
  type.qparams = QParams{scale, static_cast<int>(std::lround(-low / scale))};
  return type;
}

}  // namespace fxq
