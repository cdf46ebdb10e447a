// The KERNEL column of the op table as a switch: OpId -> the function that the cell names.
#include "fxq/runtime/lower/family.h"

namespace fxq {
namespace {

struct Row {
  OpId op;
  LowerFamily lower;
};

#define _ nullptr
#define KERNEL(family) lower_##family
#define FLOAT_KERNEL(family) KERNEL(family)
#define OP(id, name, match, rule, march, kernel, onnx) Row{OpId::k##id, kernel},
constexpr Row kRows[] = {
#include "fxq/graph/ops/ops.def"
};
#undef OP
#undef FLOAT_KERNEL
#undef KERNEL
#undef _

}  // namespace

LowerFamily lower_family(OpId op) {
  return op == OpId::kNone ? nullptr : kRows[static_cast<size_t>(op) - 1].lower;
}

}  // namespace fxq
