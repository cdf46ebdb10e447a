// Which reference kernel runs which op: read from ops.def.
#include <array>

#include "fxq/base/registry.h"
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

Registry<ReferenceRow>& registered() {
  static auto* const rows = new Registry<ReferenceRow>;
  return *rows;
}

// Of the table, or registered; an empty row if there is none.
const ReferenceRow& row_of_family(std::string_view family) {
  for (const ReferenceRow& row : kRows) {
    if (row.run && row.family == family) return row;
  }
  const ReferenceRow* own = registered().find(family);
  return own ? *own : kRows[0];
}

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

const ReferenceRow& reference_row(OpId op) {
  const auto index = static_cast<size_t>(op);
  return index < kRows.size() ? kRows[index] : row_of_family(op_def(op).kernel);
}

absl::Status register_reference_kernel(std::string_view family, ReferenceKernel run,
                                       KernelLimits limits) {
  const bool taken = row_of_family(family).run != nullptr;
  if (!taken && run && limits && registered().add(family, ReferenceRow{"", run, limits})) {
    return absl::OkStatus();
  }
  if (!run || !limits) return absl::InvalidArgumentError("a reference kernel needs both functions");
  return absl::AlreadyExistsError("a reference kernel family '" + std::string(family) + "' exists");
}

}  // namespace fxq
