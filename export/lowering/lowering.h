// One function per ONNX cell of the op table: adds the ONNX nodes of one call and ends with
// Exporter::finish (or set, for what is no tensor). A cell without a function is a link error.
// Unimplemented says why a form of the op has no ONNX counterpart.
#pragma once

#include "absl/status/status.h"
#include "fxq/graph/ops/op_def.h"
#include "fxq/graph/view.h"

namespace fxq {

class Exporter;

using OnnxLowering = absl::Status (*)(Exporter& exporter, const OpView& view);

#define _
#define ONNX(form) absl::Status onnx_##form(Exporter& exporter, const OpView& view);
#define OP(id, name, match, rule, march, kernel, onnx) onnx
#include "fxq/graph/ops/ops.def"
#undef OP
#undef ONNX
#undef _

// Null if the op has no ONNX cell.
OnnxLowering onnx_lowering(OpId op);
// Adds a form from outside, for the ONNX cells of registered ops (register_op). AlreadyExists if
// there is one of that name.
absl::Status register_onnx_form(std::string_view form, OnnxLowering lower);

}  // namespace fxq
