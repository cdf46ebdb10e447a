// Which reference kernel runs which op: read from ops.def.
#include <array>

#include "fxq/quant/reference_kernels/reference_kernel.h"

namespace fxq {
namespace {

#define _ \
  ReferenceRow {}
#define KERNEL(family) \
  ReferenceRow { #family, reference_##family, limits_##family }
#define OP(id, name, match, rule, march, kernel, onnx) kernel,
constexpr std::array kRows = {
    ReferenceRow{},
#include "fxq/graph/ops/ops.def"
};
#undef OP
#undef KERNEL
#undef _

}  // namespace

const ReferenceRow& reference_row(OpId op) { return kRows[static_cast<size_t>(op)]; }

}  // namespace fxq
