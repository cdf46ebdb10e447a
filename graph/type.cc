// f32[N,3,224,224] q(0.02): see type.h for the grammar.
#include "fxq/graph/type.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace fxq {
namespace {

std::string dim_text(const Dim& dim) {
  if (!dim.symbol.empty()) return dim.symbol;
  return dim.is_known() ? std::to_string(dim.size) : "?";
}

std::string tensor_text(const Type& type) {
  if (!type.dtype) return "tensor";
  std::string text{dtype_name(*type.dtype)};
  if (!type.dims) {
    text += "[...]";
  } else {
    std::vector<std::string> dims;
    for (const Dim& dim : *type.dims) dims.push_back(dim_text(dim));
    text += fmt::format("[{}]", fmt::join(dims, ","));
  }
  if (type.qparams) {
    text += type.qparams->zero_point == 0
                ? fmt::format(" q({})", type.qparams->scale)
                : fmt::format(" q({}, {})", type.qparams->scale, type.qparams->zero_point);
  }
  return text;
}

}  // namespace

Type Type::tensor(DType dtype, const std::vector<int64_t>& sizes) {
  Type type{Kind::kTensor, dtype};
  type.dims.emplace();
  for (int64_t size : sizes) type.dims->push_back(Dim{size, ""});
  return type;
}

bool Type::has_static_shape() const {
  if (!dims) return false;
  for (const Dim& dim : *dims) {
    if (!dim.is_known()) return false;
  }
  return true;
}

std::string Type::to_string() const {
  switch (kind) {
    case Kind::kUnknown:
      return "?";
    case Kind::kTensor:
      return tensor_text(*this);
    case Kind::kInt:
      return "int";
    case Kind::kFloat:
      return "float";
    case Kind::kBool:
      return "bool";
    case Kind::kStr:
      return "str";
    case Kind::kNone:
      return "none";
    case Kind::kDType:
      return "dtype";
    case Kind::kDevice:
      return "device";
    case Kind::kList:
      return fmt::format("list({})", elements[0].to_string());
    case Kind::kDict:
      return fmt::format("dict({})", elements[0].to_string());
    case Kind::kOptional:
      return fmt::format("optional({})", elements[0].to_string());
    case Kind::kTuple:
      break;
  }
  std::vector<std::string> parts;
  for (const Type& element : elements) parts.push_back(element.to_string());
  return fmt::format("({}{})", fmt::join(parts, ", "), parts.size() == 1 ? "," : "");
}

bool operator==(const Type& a, const Type& b) {
  return a.kind == b.kind && a.dtype == b.dtype && a.dims == b.dims && a.qparams == b.qparams &&
         a.elements == b.elements;
}

bool same_shape(const Type& a, const Type& b) {
  if (!a.dims || !b.dims || a.dims->size() != b.dims->size()) return false;
  for (size_t i = 0; i < a.dims->size(); ++i) {
    const Dim& left = (*a.dims)[i];
    const Dim& right = (*b.dims)[i];
    if (!left.is_known() && left.symbol.empty()) return false;
    if (!(left == right)) return false;
  }
  return true;
}

}  // namespace fxq
