// Element types of tensors, the same in graphs, programs and files. One table (dtype.cc) holds
// the text name ("f32"), the safetensors name ("F32"), the NumPy descriptor ("<f4") and the size.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace fxq {

enum class DType : uint8_t { kF32, kF64, kF16, kBF16, kI8, kU8, kI16, kI32, kI64, kBool };

inline constexpr int kDTypeCount = 10;

size_t dtype_size(DType dtype);                  // bytes of one element
std::string_view dtype_name(DType dtype);        // "f32", as in the text form
std::string_view dtype_file_name(DType dtype);   // "F32", as in safetensors
std::string_view dtype_numpy_name(DType dtype);  // "<f4"; bf16 has none and gives ""
bool is_floating_point(DType dtype);

std::optional<DType> dtype_from_name(std::string_view name);
std::optional<DType> dtype_from_file_name(std::string_view name);
std::optional<DType> dtype_from_numpy_name(std::string_view name);

}  // namespace fxq
