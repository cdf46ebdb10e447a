// Type: what is known about a node's value: a tensor's dtype, shape and quantization, or the kind
// of any other value. Unknown parts stay unknown; nothing here is ever guessed. Text form:
// f32[N,3,224,224]   i8[N,64,?,?] q(0.0235)   f32[...] (rank unknown)   tensor
//            int   list(tensor)   (f32[N], i64[N])   dict(f32[...])   optional(tensor)   ?
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "fxq/base/dtype.h"
#include "fxq/base/qparams.h"

namespace fxq {

// One dimension: a size, a symbol ("N": equal symbols are equal sizes), or unknown.
struct Dim {
  int64_t size = -1;
  std::string symbol;
  bool is_known() const { return size >= 0; }
  friend bool operator==(const Dim& a, const Dim& b) {
    return a.size == b.size && a.symbol == b.symbol;
  }
};

struct Type {
  enum class Kind : uint8_t {
    kUnknown,
    kTensor,
    kInt,
    kFloat,
    kBool,
    kStr,
    kNone,
    kDType,
    kDevice,
    kList,
    kTuple,
    kDict,
    kOptional,
  };

  Kind kind = Kind::kUnknown;
  std::optional<DType> dtype;            // tensors
  std::optional<std::vector<Dim>> dims;  // tensors; nullopt: rank unknown
  std::optional<QParams> qparams;        // tensors of integers that stand for reals
  std::vector<Type> elements;            // tuple: each; list, dict (values), optional: one

  static Type tensor() { return {Kind::kTensor}; }
  static Type tensor(DType dtype) { return {Kind::kTensor, dtype}; }
  static Type tensor(DType dtype, const std::vector<int64_t>& sizes);
  static Type of(Kind kind) { return {kind}; }
  static Type list(Type element) { return {Kind::kList, {}, {}, {}, {std::move(element)}}; }
  static Type tuple(std::vector<Type> elements) {
    return {Kind::kTuple, {}, {}, {}, std::move(elements)};
  }

  bool is_tensor() const { return kind == Kind::kTensor; }
  bool is_quantized() const { return qparams.has_value(); }
  int rank() const { return dims ? static_cast<int>(dims->size()) : -1; }
  bool has_static_shape() const;
  std::string to_string() const;

  friend bool operator==(const Type& a, const Type& b);
  friend bool operator!=(const Type& a, const Type& b) { return !(a == b); }
};

// True if both ranks are known and every pair of dims is the same size or the same symbol.
bool same_shape(const Type& a, const Type& b);

}  // namespace fxq
