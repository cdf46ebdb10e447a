// Reference kernels: the definition of what an op computes on integers. One function per KERNEL
// cell of the op table (and per FLOAT_KERNEL cell, on f32), on plain row-major int8, uint8 and
// int16 tensors (i8 is qint8, u8 is quint8); written to be read, not to be fast. Beside each stands
// what it cannot do.
#pragma once

#include <ATen/core/ivalue.h>

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "fxq/graph/view.h"

namespace fxq {

// A call with evaluated arguments. Borrows everything; lives for the call.
struct ReferenceCall {
  const GraphModule& gm;
  const Node& node;
  const OpView& view;
  std::vector<c10::IValue> args;  // as Interpreter::run_node gets them
  std::vector<c10::IValue> kwargs;
  // The op's own code without epilogue, on other arguments.
  std::function<absl::StatusOr<c10::IValue>(std::vector<c10::IValue> args)> run;

  // Operand i's integers, and what they stand for.
  at::Tensor operand(size_t i = 0) const;
  double scale(size_t i = 0) const;
  // An argument of ints, constant or computed from sizes while the graph runs.
  std::vector<int64_t> ints(std::string_view name, std::vector<int64_t> otherwise = {}) const;
  at::Tensor epilogue_add() const;  // undefined if there is none
  // Of the result; 1 and kF32 if it is a float.
  double output_scale() const;
  DType output_dtype() const;
};

using ReferenceKernel = absl::StatusOr<c10::IValue> (*)(const ReferenceCall& call);
// Why this kernel cannot run the call, in words; "" if it can.
using KernelLimits = std::string (*)(const OpView& view);

struct ReferenceRow {
  std::string_view family;
  ReferenceKernel run = nullptr;  // null: the op has no integer kernel
  KernelLimits limits = nullptr;
};
const ReferenceRow& reference_row(OpId op);
// Adds a family from outside, for the KERNEL cells of registered ops (register_op). AlreadyExists
// if there is one of that name.
absl::Status register_reference_kernel(std::string_view family, ReferenceKernel run,
                                       KernelLimits limits);
// A float call that the runtime computes by itself, as its reference kernel defines: its op has a
// FLOAT_KERNEL cell, operand and result are f32, and nothing is fused to it.
bool has_float_kernel(const GraphModule& gm, const Node& node);

// Every family of ops.def must have both functions: a missing one is a link error.
#define _
#define KERNEL(family)                                                       \
  absl::StatusOr<c10::IValue> reference_##family(const ReferenceCall& call); \
  std::string limits_##family(const OpView& view);
#define FLOAT_KERNEL(family) KERNEL(family)
#define OP(id, name, match, rule, march, kernel, onnx) kernel
#include "fxq/graph/ops/ops.def"
#undef OP
#undef FLOAT_KERNEL
#undef KERNEL
#undef _

}  // namespace fxq
