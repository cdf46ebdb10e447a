// The table: text, safetensors and NumPy name, bytes, floating or not, of each DType.
#include "fxq/base/dtype.h"

#include <array>

namespace fxq {
namespace {

struct Row {
  DType dtype;
  size_t size;
  bool floating;
  std::string_view name;
  std::string_view file_name;
  std::string_view numpy_name;
};

constexpr std::array<Row, kDTypeCount> kRows{{
    {DType::kF32, 4, true, "f32", "F32", "<f4"},
    {DType::kF64, 8, true, "f64", "F64", "<f8"},
    {DType::kF16, 2, true, "f16", "F16", "<f2"},
    {DType::kBF16, 2, true, "bf16", "BF16", ""},
    {DType::kI8, 1, false, "i8", "I8", "|i1"},
    {DType::kU8, 1, false, "u8", "U8", "|u1"},
    {DType::kI16, 2, false, "i16", "I16", "<i2"},
    {DType::kI32, 4, false, "i32", "I32", "<i4"},
    {DType::kI64, 8, false, "i64", "I64", "<i8"},
    {DType::kBool, 1, false, "bool", "BOOL", "|b1"},
}};

const Row& row(DType dtype) { return kRows[static_cast<size_t>(dtype)]; }

std::optional<DType> find(std::string_view Row::*column, std::string_view name) {
  if (name.empty()) return std::nullopt;
  for (const Row& row : kRows) {
    if (row.*column == name) return row.dtype;
  }
  return std::nullopt;
}

}  // namespace

size_t dtype_size(DType dtype) { return row(dtype).size; }
std::string_view dtype_name(DType dtype) { return row(dtype).name; }
std::string_view dtype_file_name(DType dtype) { return row(dtype).file_name; }
std::string_view dtype_numpy_name(DType dtype) { return row(dtype).numpy_name; }
bool is_floating_point(DType dtype) { return row(dtype).floating; }

std::optional<DType> dtype_from_name(std::string_view name) { return find(&Row::name, name); }

std::optional<DType> dtype_from_file_name(std::string_view name) {
  return find(&Row::file_name, name);
}

std::optional<DType> dtype_from_numpy_name(std::string_view name) {
  return find(&Row::numpy_name, name);
}

}  // namespace fxq
