// Value: what the tracer knows about one TorchScript value while it walks the code: a constant, a
// node of the graph being built, a module, a container of values, or nothing usable (poison).
// Values are cells shared by everything that aliases them: an in-place op rebinds the cell, and a
// list that is appended to changes for all its holders.
#pragma once

#include <ATen/core/ivalue.h>
#include <ATen/core/jit_type.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "fxq/graph/node.h"

namespace fxq {

struct Value;
struct View;
using ValuePtr = std::shared_ptr<Value>;

// The memory that several tensors may share: a tensor and its views.
struct Storage {
  std::vector<std::weak_ptr<Value>> values;
  bool external = false;  // an input or a module's tensor: changes are seen outside the graph
};

struct Value {
  enum class Kind : uint8_t {
    kConstant,  // `constant`; tensors too
    kNode,      // `node`
    kModule,    // `constant` is the module object, `path` its path
    kList,      // `items`
    kTuple,     // `items`, `names` if it is a named tuple
    kDict,      // `keys`, `items`
    kObject,    // an object of a script class: `fields`
    kNumber,    // a 0-dim tensor made from the number items[0] (traced arithmetic on sizes)
    kPoison,    // could not be captured; `reason` if that is not reported yet
  };

  Kind kind = Kind::kPoison;
  c10::TypePtr type;  // TorchScript's static type; null if unknown
  c10::IValue constant;
  Node* node = nullptr;
  std::vector<ValuePtr> items;
  std::vector<ValuePtr> keys;
  std::vector<std::string> names;
  std::map<std::string, ValuePtr> fields;
  std::string path;
  std::string reason;
  std::shared_ptr<Storage> storage;
  std::shared_ptr<const View> view;  // of a tensor that shows another one (views.h)
  bool is_mode = false;              // a module's `training` flag
  bool is_state = false;             // a list or dict that is a module's attribute
  // A view that may leave out elements of its memory: in-place ops keep its strides, others need
  // not.
  bool may_have_gaps = false;
  bool from_data = false;  // a number that was read from a tensor's elements

  bool is(Kind wanted) const { return kind == wanted; }
  bool is_none() const { return is(Kind::kConstant) && constant.isNone(); }
  bool is_constant_tensor() const { return is(Kind::kConstant) && constant.isTensor(); }
};

ValuePtr make_constant(c10::IValue constant, c10::TypePtr type = nullptr);
ValuePtr make_node_value(Node* node, c10::TypePtr type);
ValuePtr make_items(Value::Kind kind, std::vector<ValuePtr> items, c10::TypePtr type);
ValuePtr make_poison(std::string reason = "");

// Lists, tuples and dicts become containers of values (copied: the model's own lists never change),
// anything else a constant.
ValuePtr from_ivalue(const c10::IValue& constant, const c10::TypePtr& type = nullptr);

// True if nothing inside is a node, a tensor, a module or poison.
bool is_plain_constant(const Value& value);
// The value as an IValue if everything inside is constant (tensors allowed); `type` shapes lists.
c10::optional<c10::IValue> to_ivalue(const Value& value);

// Calls `visit` for the value and everything inside it.
void for_each_part(const ValuePtr& value, const std::function<void(const ValuePtr&)>& visit);

// Readers of constants: the fallback if the value is not such a constant.
bool constant_bool(const Value& value, bool fallback);
c10::optional<int64_t> constant_int(const Value& value);
c10::optional<double> constant_number(const Value& value);
c10::optional<std::vector<int64_t>> constant_ints(const Value& value);

// Makes `value` share the memory of `base`.
void share_storage(const ValuePtr& value, const ValuePtr& base);
// `value` may hold or be `part`: all that shares memory with either shares one from here on.
void merge_storage(const ValuePtr& value, const ValuePtr& part);

}  // namespace fxq
