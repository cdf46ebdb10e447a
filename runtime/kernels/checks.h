// What infer functions check again and again. All note their complaints in the AttrReader, so that
// a broken step is described once and whole. Dtypes of quantized tensors here: u8, i8, i16.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>
#include <string>

#include "fmt/format.h"
#include "fxq/runtime/attr_reader.h"
#include "fxq/runtime/kernel.h"
#include "fxq/runtime/storage.h"

namespace fxq::kernels {

inline bool is_quantized(DType dtype) {
  return dtype == DType::kU8 || dtype == DType::kI8 || dtype == DType::kI16;
}

// Elements of a quantized tensor in storage.
inline bool is_wide(DType dtype) { return dtype == DType::kI16; }

struct IntegerRange {
  int low = 0;
  int high = 0;
};

inline IntegerRange integer_range(DType dtype) {
  if (dtype == DType::kU8) return {0, 255};
  if (dtype == DType::kI8) return {-128, 127};
  return {-32768, 32767};
}

inline bool count_is(AttrReader& reader, Descs inputs, size_t least, size_t most) {
  if (inputs.size() >= least && inputs.size() <= most) return true;
  reader.complain(fmt::format("has {} inputs, needs {}{}", inputs.size(), least,
                              most > least ? fmt::format(" to {}", most) : ""));
  return false;
}

inline bool is_tensor(AttrReader& reader, Descs inputs, size_t index) {
  const bool good = inputs[index].kind == ValueKind::kTensor && !inputs[index].absent;
  if (!good) {
    reader.complain(fmt::format("input {} is {}, needs a tensor", index, inputs[index].describe()));
  }
  return good;
}

inline bool is_quantized_tensor(AttrReader& reader, Descs inputs, size_t index) {
  if (!is_tensor(reader, inputs, index)) return false;
  if (is_quantized(inputs[index].dtype)) return true;
  reader.complain(
      fmt::format("input {} is {}, needs one of u8, i8, i16", index, inputs[index].describe()));
  return false;
}

inline bool is_constant(AttrReader& reader, Descs inputs, size_t index, DType dtype) {
  if (!is_tensor(reader, inputs, index)) return false;
  const Desc& input = inputs[index];
  if (input.constant != nullptr && input.dtype == dtype) return true;
  reader.complain(fmt::format("input {} is {}, needs a constant of type {}", index,
                              input.describe(), dtype_name(dtype)));
  return false;
}

// Attribute "dtype" of the output; absent = `otherwise`, or required if there is none.
inline DType quantized_dtype(AttrReader& reader, std::optional<DType> otherwise) {
  if (otherwise && !reader.has("dtype")) return *otherwise;
  const std::string name = reader.text("dtype");
  const std::optional<DType> dtype = dtype_from_name(name);
  if (dtype && is_quantized(*dtype)) return *dtype;
  if (reader.has("dtype")) {
    reader.complain(fmt::format("attribute dtype = '{}' is none of u8, i8, i16", name));
  }
  return DType::kU8;
}

// An axis in [-rank, rank), made non-negative.
inline int64_t axis(AttrReader& reader, int64_t value, int64_t rank, std::string_view name) {
  if (value >= -rank && value < rank) return value < 0 ? value + rank : value;
  reader.complain(
      fmt::format("{} = {} is no axis of a tensor with {} dimensions", name, value, rank));
  return 0;
}

// Bounds of the rounded result, the epilogue of a step folded in: attribute "activation" is "",
// "relu" or "relu6"; relu6 needs "clip_hi", 6 in units of the output scale. Clamping to a whole
// number before or after rounding is the same.
struct OutputRange {
  float low = 0;
  float high = 0;
};

inline OutputRange output_range(AttrReader& reader, DType dtype) {
  const IntegerRange range = integer_range(dtype);
  OutputRange result{static_cast<float>(range.low), static_cast<float>(range.high)};
  const std::string activation = reader.text("activation", "");
  if (activation.empty()) return result;
  result.low = std::max(result.low, 0.0F);
  if (activation == "relu6") {
    result.high =
        std::min(result.high, std::max(0.0F, static_cast<float>(reader.number("clip_hi"))));
  } else if (activation != "relu") {
    reader.complain(fmt::format("activation '{}' is none of '', 'relu', 'relu6'", activation));
  }
  return result;
}

// round half to even, then saturate; a value that is no number gives `low`.
inline int round_to(float value, OutputRange range) {
  const float inside = value > range.low ? (value < range.high ? value : range.high) : range.low;
  return static_cast<int>(std::rint(inside));
}

}  // namespace fxq::kernels
