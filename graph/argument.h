// Argument: one argument of a node, as in torch.fx: a node, none, bool, int, float, string, dtype,
// device, or a list, tuple, dict or slice of arguments. A value; it borrows the nodes it names.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "fxq/base/dtype.h"

namespace fxq {

class Argument;
class Node;

struct Device {
  std::string name = "cpu";  // "cpu", "cuda:0"
  friend bool operator==(const Device& a, const Device& b) { return a.name == b.name; }
};

struct ListArg {
  std::vector<Argument> items;
};
struct TupleArg {
  std::vector<Argument> items;
  std::vector<std::string> names;  // of a named tuple; else empty
};
struct DictArg {
  std::vector<std::pair<Argument, Argument>> items;
};
struct SliceArg {
  std::vector<Argument> parts;  // start, stop, step
};

class Argument {
 public:
  using Value = std::variant<std::monostate, Node*, bool, int64_t, double, std::string, DType,
                             Device, ListArg, TupleArg, DictArg, SliceArg>;

  Argument() = default;  // none
  Argument(Node* node) : value_(node) {}
  Argument(bool value) : value_(value) {}
  Argument(int value) : value_(static_cast<int64_t>(value)) {}
  Argument(int64_t value) : value_(value) {}
  Argument(double value) : value_(value) {}
  Argument(const char* value) : value_(std::string(value)) {}
  Argument(std::string value) : value_(std::move(value)) {}
  Argument(DType value) : value_(value) {}
  Argument(Device value) : value_(std::move(value)) {}
  Argument(ListArg value) : value_(std::move(value)) {}
  Argument(TupleArg value) : value_(std::move(value)) {}
  Argument(DictArg value) : value_(std::move(value)) {}
  Argument(SliceArg value) : value_(std::move(value)) {}

  static Argument list(std::vector<Argument> items) { return ListArg{std::move(items)}; }
  static Argument tuple(std::vector<Argument> items) { return TupleArg{std::move(items), {}}; }
  static Argument ints(const std::vector<int64_t>& values);

  const Value& value() const { return value_; }
  template <typename T>
  bool is() const {
    return std::holds_alternative<T>(value_);
  }
  template <typename T>
  const T& get() const {
    return std::get<T>(value_);
  }
  template <typename T>
  const T* get_if() const {
    return std::get_if<T>(&value_);
  }

  bool is_none() const { return is<std::monostate>(); }
  bool is_node() const { return is<Node*>(); }
  Node* node() const { return is_node() ? get<Node*>() : nullptr; }
  const std::vector<Argument>* items() const;  // of a list or tuple, else nullptr
  bool is_constant() const;                    // no node anywhere inside

  // Calls `visit` for every node in here, in order, repeats included.
  void for_each_node(const std::function<void(Node*)>& visit) const;
  // A copy with every node replaced by `map(node)`.
  Argument map_nodes(const std::function<Argument(Node*)>& map) const;

  // Text form: %x  none  true  3  0.5  "text"  f32  device("cpu")  [..]  (..,)  {k: v}  slice(a, b,
  // c)
  std::string to_string() const;

  friend bool operator==(const Argument& a, const Argument& b);
  friend bool operator!=(const Argument& a, const Argument& b) { return !(a == b); }

 private:
  Value value_;
};

bool operator==(const ListArg& a, const ListArg& b);
bool operator==(const TupleArg& a, const TupleArg& b);
bool operator==(const DictArg& a, const DictArg& b);
bool operator==(const SliceArg& a, const SliceArg& b);

}  // namespace fxq
