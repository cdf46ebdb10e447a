// The ONNX column of the op table as a switch: OpId -> the function that the cell names.
#include "fxq/export/lowering/lowering.h"

#include <array>
#include <string>

#include "fxq/base/registry.h"

namespace fxq {
namespace {

struct Row {
  std::string_view form;
  OnnxLowering lower = nullptr;
};

#define _ \
  Row {}
#define ONNX(form) \
  Row { #form, onnx_##form }
#define OP(id, name, match, rule, march, kernel, onnx) onnx,
constexpr std::array kRows = {
#include "fxq/graph/ops/ops.def"
};
#undef OP
#undef ONNX
#undef _

Registry<OnnxLowering>& registered() {
  static auto* const forms = new Registry<OnnxLowering>;
  return *forms;
}

// Of the table, or registered; null if there is none.
OnnxLowering by_name(std::string_view form) {
  for (const Row& row : kRows) {
    if (row.lower && row.form == form) return row.lower;
  }
  const OnnxLowering* own = registered().find(form);
  return own ? *own : nullptr;
}

}  // namespace

OnnxLowering onnx_lowering(OpId op) {
  if (op == OpId::kNone) return nullptr;
  const size_t index = static_cast<size_t>(op) - 1;
  return index < kRows.size() ? kRows[index].lower : by_name(op_def(op).onnx);
}

absl::Status register_onnx_form(std::string_view form, OnnxLowering lower) {
  if (!lower) return absl::InvalidArgumentError("an ONNX form needs its function");
  if (!by_name(form) && registered().add(form, lower)) return absl::OkStatus();
  return absl::AlreadyExistsError("an ONNX form '" + std::string(form) + "' exists");
}

}  // namespace fxq
