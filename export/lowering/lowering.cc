// The ONNX column of the op table as a switch: OpId -> the function that the cell names.
#include "fxq/export/lowering/lowering.h"

namespace fxq {
namespace {

struct Row {
  OpId op;
  OnnxLowering lower;
};

#define _ nullptr
#define ONNX(form) onnx_##form
#define OP(id, name, match, rule, march, kernel, onnx) Row{OpId::k##id, onnx},
constexpr Row kRows[] = {
#include "fxq/graph/ops/ops.def"
};
#undef OP
#undef ONNX
#undef _

}  // namespace

OnnxLowering onnx_lowering(OpId op) {
  return op == OpId::kNone ? nullptr : kRows[static_cast<size_t>(op) - 1].lower;
}

}  // namespace fxq
