// One function per KERNEL and FLOAT_KERNEL cell of the op table: writes the steps of one call. A
// cell without a function is a link error.
#pragma once

#include "absl/status/status.h"
#include "fxq/graph/ops/op_def.h"
#include "fxq/graph/view.h"

namespace fxq {

class Lowering;
struct Type;

using LowerFamily = absl::Status (*)(Lowering& lowering, const OpView& view);

#define _
#define KERNEL(family) absl::Status lower_##family(Lowering& lowering, const OpView& view);
#define FLOAT_KERNEL(family) KERNEL(family)
#define OP(id, name, match, rule, march, kernel, onnx) kernel
#include "fxq/graph/ops/ops.def"
#undef OP
#undef FLOAT_KERNEL
#undef KERNEL
#undef _

// Null if the op has no kernel.
LowerFamily lower_family(OpId op);
// Adds a family from outside, for the KERNEL cells of registered ops (register_op): it writes steps
// of kernels that the runtime has or that register_kernel added. AlreadyExists if there is one.
absl::Status register_lowering(std::string_view family, LowerFamily lower);

// A call that LibTorch's own operator computes, by a step "aten". `result`: of another type than
// the node's.
absl::Status lower_float(Lowering& lowering, const Node& node, const Type* result = nullptr);
// An integer op that has no family: dequantize, the float call, quantize, as its reference kernel
// does (quant/reference_kernels/through_float.h).
absl::Status lower_through_float(Lowering& lowering, const OpView& view);

}  // namespace fxq
