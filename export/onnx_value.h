// What a node became in the ONNX model: a tensor, an int, a bool or a list of ints (a constant as
// long as all of it is known), a float (0-D, f64), a sequence of tensors whose number only running
// knows, or a tree of those for lists, tuples and dicts. A plain value.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace fxq {

struct OnnxValue {
  enum class Kind { kNone, kTensor, kInt, kInts, kBool, kFloat, kSequence, kList, kDict };
  Kind kind = Kind::kNone;
  std::string name;               // in the model; kInt, kInts, kBool: "" if it is the constant
  std::vector<int64_t> constant;  // kInt, kBool (one) and kInts, if `name` is empty
  std::vector<OnnxValue> children;
  std::vector<std::string> keys;  // kDict: one per child

  static OnnxValue tensor(std::string name) { return {Kind::kTensor, std::move(name), {}, {}, {}}; }
  static OnnxValue integer(int64_t value) { return {Kind::kInt, "", {value}, {}, {}}; }
  static OnnxValue integers(std::vector<int64_t> values) {
    return {Kind::kInts, "", std::move(values), {}, {}};
  }
  static OnnxValue boolean(bool value) { return {Kind::kBool, "", {value ? 1 : 0}, {}, {}}; }
  static OnnxValue named(Kind kind, std::string name) {
    return {kind, std::move(name), {}, {}, {}};
  }
  static OnnxValue list(std::vector<OnnxValue> children) {
    return {Kind::kList, "", {}, std::move(children), {}};
  }

  bool is_ints() const { return kind == Kind::kInt || kind == Kind::kInts; }
  bool is_constant() const { return (is_ints() || kind == Kind::kBool) && name.empty(); }
};

}  // namespace fxq
