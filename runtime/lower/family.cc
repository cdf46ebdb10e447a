// The KERNEL column of the op table as a switch: OpId -> the function that the cell names.
#include "fxq/runtime/lower/family.h"

#include <array>
#include <string>

#include "fxq/base/registry.h"

namespace fxq {
namespace {

struct Row {
  std::string_view family;
  LowerFamily lower = nullptr;
};

#define _ \
  Row {}
#define KERNEL(family) \
  Row { #family, lower_##family }
#define FLOAT_KERNEL(family) KERNEL(family)
#define OP(id, name, match, rule, march, kernel, onnx) kernel,
constexpr std::array kRows = {
#include "fxq/graph/ops/ops.def"
};
#undef OP
#undef FLOAT_KERNEL
#undef KERNEL
#undef _

Registry<LowerFamily>& registered() {
  static auto* const families = new Registry<LowerFamily>;
  return *families;
}

// Of the table, or registered; null if there is none.
LowerFamily by_name(std::string_view family) {
  for (const Row& row : kRows) {
    if (row.lower && row.family == family) return row.lower;
  }
  const LowerFamily* own = registered().find(family);
  return own ? *own : nullptr;
}

}  // namespace

LowerFamily lower_family(OpId op) {
  if (op == OpId::kNone) return nullptr;
  const size_t index = static_cast<size_t>(op) - 1;
  return index < kRows.size() ? kRows[index].lower : by_name(op_def(op).kernel);
}

absl::Status register_lowering(std::string_view family, LowerFamily lower) {
  if (!lower) return absl::InvalidArgumentError("a lowering needs its function");
  if (!by_name(family) && registered().add(family, lower)) return absl::OkStatus();
  return absl::AlreadyExistsError("a lowering family '" + std::string(family) + "' exists");
}

}  // namespace fxq
