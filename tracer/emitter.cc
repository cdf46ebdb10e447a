// aten::relu_(%x)  ->  %relu = relu(%x), and every holder of %x now sees %relu.
#include "fxq/tracer/emitter.h"

#include <ATen/core/function_schema.h>
#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>

#include "fxq/graph/interpreter.h"
#include "fxq/graph/ivalue_convert.h"
#include "fxq/graph/naming.h"
#include "fxq/graph/tensor_convert.h"
#include "fxq/tracer/aliases.h"
#include "fxq/tracer/views.h"

namespace fxq {
namespace {

bool is_container(const Value& value) {
  const bool known = value.is(Value::Kind::kList) || value.is(Value::Kind::kDict);
  return known || (value.type && (value.type->kind() == c10::TypeKind::ListType ||
                                  value.type->kind() == c10::TypeKind::DictType));
}

// What is done to the item may be seen through the container from here on.
void hold(const ValuePtr& container, const ValuePtr& item) {
  for_each_part(item, [&](const ValuePtr& part) { merge_storage(container, part); });
}

// Another argument shows memory that the call writes, in another order: what it reads depends on
// what is written first.
bool reads_what_it_writes(const std::vector<ValuePtr>& args, const Value& target) {
  bool found = false;
  for (const ValuePtr& arg : args) {
    for_each_part(arg, [&](const ValuePtr& part) {
      const bool shares = part->storage && part->storage == target.storage;
      found |= shares && !show_the_same(*part, target) && !are_disjoint(*part, target);
    });
  }
  return found;
}

}  // namespace

std::string overload_name(const c10::FunctionSchema& schema) {
  return schema.overload_name().empty() ? schema.name()
                                        : schema.name() + "." + schema.overload_name();
}

ValuePtr Emitter::stamp(Node* node, const c10::TypePtr& type) {
  node->owner = site.owner;
  node->source = site.source;
  node->type = node_type(type);
  return make_node_value(node, type);
}

ValuePtr Emitter::placeholder(const std::string& name, const c10::TypePtr& type) {
  ValuePtr value = make_node_value(graph().placeholder(name, node_type(type)), type);
  value->storage->external = !owns_inputs;
  return value;
}

ValuePtr Emitter::attribute(const std::string& path, const at::Tensor& tensor) {
  ValuePtr& value = attributes_[path];
  if (value) return value;
  gm_.set_tensor(path, tensor);
  value = stamp(graph().get_attr(path), c10::TensorType::get());
  value->node->type = type_of(tensor);
  value->storage->external = true;
  return value;
}

at::Tensor Emitter::known_tensor(const ValuePtr& value) const {
  if (value->is_constant_tensor()) return value->constant.toTensor();
  if (!value->is(Value::Kind::kNode) || !value->node->is(NodeKind::kGetAttr)) return {};
  return gm_.tensor(value->node->target());
}

at::Tensor Emitter::literal(const Node& node) const {
  const bool known = std::any_of(constants_.begin(), constants_.end(), [&](const auto& constant) {
    return node.is(NodeKind::kGetAttr) && constant.second == node.target();
  });
  return known ? gm_.tensor(node.target()) : at::Tensor();
}

Argument Emitter::argument(const ValuePtr& value) {
  switch (value->kind) {
    case Value::Kind::kNode:
      return value->node;
    case Value::Kind::kList: {
      std::vector<Argument> items;
      for (const ValuePtr& item : value->items) items.push_back(argument(item));
      return Argument::list(std::move(items));
    }
    case Value::Kind::kTuple: {
      TupleArg tuple;
      for (const ValuePtr& item : value->items) tuple.items.push_back(argument(item));
      tuple.names = value->names;
      return tuple;
    }
    case Value::Kind::kDict: {
      DictArg dict;
      for (size_t i = 0; i < value->items.size(); ++i) {
        dict.items.emplace_back(argument(value->keys[i]), argument(value->items[i]));
      }
      return dict;
    }
    case Value::Kind::kNumber: {
      ValuePtr tensor = call("prim::NumToTensor.Scalar", {value->items[0]});
      rebind(value, tensor);
      value->kind = Value::Kind::kNode;
      return value->node;
    }
    case Value::Kind::kConstant:
      if (value->constant.isTensor() && value->constant.toTensor().defined()) {
        bind_constant(value);
        return value->node;
      }
      if (auto constant = to_argument(value->constant)) return *constant;
      break;
    default:
      break;
  }
  TORCH_CHECK(false, "a value of type ", value->type ? value->type->repr_str() : "?",
              " can't be an argument of a call");
}

void Emitter::bind_constant(const ValuePtr& value) {
  const at::Tensor& tensor = value->constant.toTensor();
  const auto [known, is_new] = constants_.emplace(
      tensor.unsafeGetTensorImpl(), fmt::format("_tensor_constant{}", constants_.size()));
  const ValuePtr bound = attribute(known->second, tensor);
  value->kind = Value::Kind::kNode;
  value->node = bound->node;
  share_storage(value, bound);
}

bool Emitter::can_rebind(const Value& value) const {
  if (!value.is(Value::Kind::kNode) || !value.storage || value.storage->external) return false;
  if (value.may_have_gaps) return false;
  for (const auto& weak : value.storage->values) {
    const ValuePtr other = weak.lock();
    if (other && other.get() != &value && used_later(*other)) return false;
  }
  return true;
}

bool Emitter::can_write_through(const ValuePtr& value) const {
  const ValuePtr root = view_root(value);
  if (!root->is(Value::Kind::kNode) || !root->storage) return false;
  if (root->storage->external || root->may_have_gaps) return false;
  for (const auto& weak : root->storage->values) {
    const ValuePtr other = weak.lock();
    if (other && other != root && view_root(other) != root && used_later(*other)) return false;
  }
  return true;
}

// The root is a new node from here on, and so are its views that are still read.
void Emitter::write_through(const ValuePtr& value, const ValuePtr& changed) {
  const ValuePtr root = view_root(value);
  const EmitCall call = [this](const c10::FunctionSchema& schema, std::vector<ValuePtr> args) {
    return emit(Call{&schema, std::move(args)}, {c10::TensorType::get()})[0];
  };
  const std::vector<std::weak_ptr<Value>> shared = root->storage->values;
  root->node = write_back(value, changed, call)->node;
  std::unordered_set<const Value*> fresh{root.get()};
  const std::function<void(const ValuePtr&)> refresh = [&](const ValuePtr& view) {
    if (!fresh.insert(view.get()).second) return;
    const ValuePtr& base = view->view->args[0];
    refresh(base);
    view->node = show_again(*view->view, base, call)->node;
  };
  for (const auto& weak : shared) {
    const ValuePtr other = weak.lock();
    if (other && view_root(other) == root && (other == value || used_later(*other))) refresh(other);
  }
}

void Emitter::rebind(const ValuePtr& value, const ValuePtr& result) {
  value->node = result->node;
  value->may_have_gaps = result->may_have_gaps;
  value->storage = result->storage;
  value->view = result->view;
  value->storage->values.push_back(value);
}

void Emitter::become(const ValuePtr& value, const ValuePtr& result) {
  value->kind = Value::Kind::kNode;
  value->items.clear();
  value->keys.clear();
  value->from_data |= result->from_data;
  rebind(value, result);
}

std::vector<ValuePtr> Emitter::call(const c10::FunctionSchema& schema, std::vector<ValuePtr> args,
                                    const std::vector<c10::TypePtr>& types) {
  const auto written = written_argument(schema);
  if (written) return call_in_place(schema, args, *written, types);
  return emit(Call{&schema, std::move(args)}, types);
}

ValuePtr Emitter::call(std::string_view target, std::vector<ValuePtr> args) {
  const Callee callee = find_callee(target);
  TORCH_CHECK(callee.schema, "this LibTorch has no ", std::string(target));
  std::vector<c10::TypePtr> types;
  for (const c10::Argument& result : callee.schema->returns()) types.push_back(result.type());
  return call(*callee.schema, std::move(args), types).at(0);
}

// a.unsqueeze_(0): `a` is a view of what it was, and so are the views of it.
void Emitter::reshape(const ValuePtr& target, const c10::FunctionSchema& functional,
                      std::vector<ValuePtr> args, size_t written,
                      const std::vector<c10::TypePtr>& types) {
  const auto base = std::make_shared<Value>(*target);
  for (const auto& weak : target->storage->values) {
    const ValuePtr other = weak.lock();
    if (!other || !other->view || other->view->args[0] != target) continue;
    View view = *other->view;
    view.args[0] = base;
    other->view = std::make_shared<const View>(std::move(view));
  }
  target->storage->values.push_back(base);
  args[written] = base;
  rebind(target, emit(Call{&functional, std::move(args)}, types)[0]);
}

std::vector<ValuePtr> Emitter::call_in_place(const c10::FunctionSchema& schema,
                                             const std::vector<ValuePtr>& args, size_t written,
                                             const std::vector<c10::TypePtr>& types) {
  const ValuePtr& target = args[written];
  make_unknown(target);
  argument(target);  // constants and numbers become nodes
  const c10::FunctionSchema* functional =
      reads_what_it_writes(args, *target) ? nullptr : functional_form(schema);
  if (functional && can_rebind(*target)) {
    rebind(target, emit(Call{functional, args}, types)[0]);
    return {target};
  }
  const bool only_shape = functional && gives_view(*functional);
  if (only_shape && target->storage && !target->storage->external) {
    reshape(target, *functional, args, written, types);
    return {target};
  }
  if (functional && can_write_through(target)) {
    write_through(target, emit(Call{functional, args}, types)[0]);
    return {target};
  }
  if (is_container(*target)) {
    for (const ValuePtr& arg : args) hold(target, arg);
  }
  std::vector<ValuePtr> results = emit(Call{&schema, args}, types);
  if (!returns_written(schema)) return results;
  // The call returns the value itself: later code reads it through the effect, in order.
  target->node = results[0]->node;
  results[0] = target;
  return results;
}

std::vector<ValuePtr> Emitter::emit(Call call, const std::vector<c10::TypePtr>& types) {
  const CanonicalContext context{[this](const ValuePtr& value) { return known_tensor(value); },
                                 [this](std::string_view target, std::vector<ValuePtr> args) {
                                   return this->call(target, std::move(args));
                                 }};
  const std::vector<ValuePtr> written_args = call.args;
  const c10::FunctionSchema& written_schema = *call.schema;
  canonicalise(call, context);
  Node* node = make_node(call);
  std::vector<ValuePtr> results;
  if (types.size() == 1) {
    results.push_back(stamp(node, types[0]));
  } else {
    const ValuePtr all = stamp(node, c10::TupleType::create(types));
    for (size_t i = 0; i < types.size(); ++i) {
      results.push_back(getitem(all, static_cast<int64_t>(i), types[i]));
    }
  }
  add_alias(written_schema, written_args, results);
  return results;
}

// Trailing arguments that have their default are left out; keyword-only ones become kwargs.
Node* Emitter::make_node(const Call& call) {
  std::vector<Argument> args;
  Kwargs kwargs;
  size_t needed = 0;
  bool follows_mode = false;
  for (size_t i = 0; i < call.args.size(); ++i) {
    const c10::Argument& formal = call.schema->arguments()[i];
    Argument value = schema_argument(formal, argument(call.args[i]));
    const bool is_default = formal.default_value() && to_argument(*formal.default_value()) == value;
    follows_mode |= call.args[i]->is_mode && is_mode_argument(formal.name());
    if (formal.kwarg_only()) {
      if (!is_default) kwargs.emplace_back(formal.name(), std::move(value));
      continue;
    }
    args.push_back(std::move(value));
    if (!is_default) needed = args.size();
  }
  args.resize(needed);
  Node* node =
      graph().call_function(overload_name(*call.schema), std::move(args), std::move(kwargs));
  node->follows_mode = follows_mode;
  return node;
}

void Emitter::add_alias(const c10::FunctionSchema& schema, const std::vector<ValuePtr>& args,
                        const std::vector<ValuePtr>& results) {
  for (size_t i = 0; i < results.size(); ++i) {
    const auto base = aliased_argument(schema, i);
    if (!base) continue;
    share_storage(results[i], args[*base]);
    const bool keeps_all = op_def(op_from_overload(overload_name(schema))).keeps_all;
    results[i]->may_have_gaps = args[*base]->may_have_gaps || !keeps_all;
    if (results.size() == 1 && *base == 0) note_view(schema, args, results[i]);
  }
  // Lists made of others (slices, sums, copies) hold the same tensors.
  for (const ValuePtr& result : results) {
    if (!is_container(*result)) continue;
    for (const ValuePtr& arg : args) {
      if (is_container(*arg)) hold(result, arg);
    }
  }
}

ValuePtr Emitter::call_module(const std::string& path, const std::vector<ValuePtr>& args,
                              const c10::TypePtr& type) {
  std::vector<Argument> arguments;
  for (const ValuePtr& arg : args) arguments.push_back(argument(arg));
  return stamp(gm_.call_module(path, std::move(arguments)), type);
}

ValuePtr Emitter::getitem(const ValuePtr& container, int64_t index, const c10::TypePtr& type) {
  Node* node = graph().call_op(OpId::kGetItem, {argument(container), Argument(index)});
  ValuePtr item = stamp(node, type);
  item->from_data = container->from_data;
  item->may_have_gaps = container->may_have_gaps;
  if (container->storage) share_storage(item, container);
  return item;
}

void Emitter::assign(const ValuePtr& buffer, const ValuePtr& value) {
  stamp(graph().call_op(OpId::kAssign, {argument(buffer), argument(value)}), c10::NoneType::get());
}

void Emitter::guard(const ValuePtr& condition, const std::string& message) {
  stamp(graph().call_op(OpId::kGuard, {argument(condition), Argument(message)}),
        c10::NoneType::get());
}

void Emitter::output(const ValuePtr& value) { graph().output(argument(value)); }

}  // namespace fxq
