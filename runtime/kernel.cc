// u8[1,3,4,4]: how a Desc is told in errors.
#include "fxq/runtime/kernel.h"

#include "fmt/format.h"
#include "fmt/ranges.h"

namespace fxq {

std::string Desc::describe() const {
  if (absent) return "nothing";
  if (kind == ValueKind::kTensor) {
    return fmt::format("{}[{}]", dtype_name(dtype), fmt::join(dims, ","));
  }
  if (const auto* list = std::get_if<std::vector<int64_t>>(&scalar)) {
    return fmt::format("[{}]", fmt::join(*list, ", "));
  }
  if (const auto* number = std::get_if<double>(&scalar)) return fmt::format("float {}", *number);
  if (const auto* flag = std::get_if<bool>(&scalar)) return fmt::format("bool {}", *flag);
  return fmt::format("int {}", std::get<int64_t>(scalar));
}

Desc tensor_desc(DType dtype, std::vector<int64_t> dims) {
  Desc desc;
  desc.dtype = dtype;
  desc.dims = std::move(dims);
  return desc;
}

Desc scalar_desc(Scalar scalar) {
  constexpr ValueKind kKinds[] = {ValueKind::kInt, ValueKind::kFloat, ValueKind::kBool,
                                  ValueKind::kInts};
  Desc desc;
  desc.kind = kKinds[scalar.index()];
  desc.scalar = std::move(scalar);
  return desc;
}

}  // namespace fxq
