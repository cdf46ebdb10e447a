// What a node became in the ONNX model: a tensor, an int or a list of ints (a constant as long as
// all of it is known), or a tree of those for lists, tuples and dicts. A plain value.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace fxq {

struct OnnxValue {
  enum class Kind { kNone, kTensor, kInt, kInts, kList, kDict };
  Kind kind = Kind::kNone;
  std::string name;               // of the tensor; kInt, kInts: "" if it is the constant
  std::vector<int64_t> constant;  // kInt (one) and kInts, if `name` is empty
  std::vector<OnnxValue> children;
  std::vector<std::string> keys;  // kDict: one per child

  static OnnxValue tensor(std::string name) { return {Kind::kTensor, std::move(name), {}, {}, {}}; }
  static OnnxValue integer(int64_t value) { return {Kind::kInt, "", {value}, {}, {}}; }
  static OnnxValue integers(std::vector<int64_t> values) {
    return {Kind::kInts, "", std::move(values), {}, {}};
  }
  static OnnxValue list(std::vector<OnnxValue> children) {
    return {Kind::kList, "", {}, std::move(children), {}};
  }

  bool is_ints() const { return kind == Kind::kInt || kind == Kind::kInts; }
  bool is_constant() const { return is_ints() && name.empty(); }
};

}  // namespace fxq
