// Which reference kernel runs which op: read from ops.def.
#include <array>

#include "fxq/quant/reference_kernels/reference_kernel.h"

namespace fxq {
namespace {

#define _ \
  ReferenceRow {}
#define KERNEL(family) \
  ReferenceRow { #family, reference_##family, limits_##family }
#define FLOAT_KERNEL(family) KERNEL(family)
#define OP(id, name, match, rule, march, kernel, onnx) kernel,
constexpr std::array kRows = {
    ReferenceRow{},
#include "fxq/graph/ops/ops.def"
};
#undef OP
#undef FLOAT_KERNEL
#undef KERNEL
#undef _

}  // namespace

bool has_float_kernel(const GraphModule& gm, const Node& node) {
  if (!node.is_call() || op_def(node.op()).float_kernel.empty()) return false;
  const auto is_f32 = [](const Type& type) {
    return type.kind == Type::Kind::kTensor && !type.is_quantized() && type.dtype == DType::kF32;
  };
  const OpView view(gm, &node);
  const bool plain = !node.epilogue_add() && node.epilogue_activation() == OpId::kNone;
  return plain && view.operands().size() == 1 && is_f32(view.operand(0)->type) &&
         is_f32(node.type) && reference_row(node.op()).limits(view).empty();
}

const ReferenceRow& reference_row(OpId op) { return kRows[static_cast<size_t>(op)]; }

}  // namespace fxq
