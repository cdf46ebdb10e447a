// Operators: computed now if all arguments are constants; answered from what is known (sizes of
// parameters, ranks, None checks); else a node.
#include <ATen/core/function_schema.h>
#include <fmt/format.h>
#include <torch/csrc/jit/runtime/operator.h>

#include <unordered_set>

#include "fxq/graph/interpreter.h"
#include "fxq/graph/view.h"
#include "fxq/tracer/aliases.h"
#include "fxq/tracer/example_runner.h"
#include "fxq/tracer/rank.h"
#include "fxq/tracer/script_reader.h"
#include "fxq/tracer/traced_sizes.h"

namespace fxq {
namespace {

namespace prim = torch::jit::prim;
namespace aten = torch::jit::aten;

bool returns_tensor(const torch::jit::Node* node) {
  for (const torch::jit::Value* output : node->outputs()) {
    const auto kind = output->type()->kind();
    if (kind == c10::TypeKind::TensorType) return true;
    for (const c10::TypePtr& part : output->type()->containedTypes()) {
      if (part->kind() == c10::TypeKind::TensorType) return true;
    }
  }
  return false;
}

// Facts about a tensor that its elements have no part in.
bool reads_only_metadata(const c10::Symbol& kind) {
  static const auto* names = new std::unordered_set<std::string>{
      "aten::size",         "aten::stride",     "aten::dim",           "aten::numel",
      "aten::len",          "aten::is_complex", "aten::is_contiguous", "aten::is_floating_point",
      "aten::element_size", "aten::get_device", "aten::is_signed"};
  return kind.is_prim() || names->count(kind.toQualString()) != 0;
}

bool is_list_of_tensors(const c10::TypePtr& type) {
  const auto list = type->cast<c10::ListType>();
  return list && list->getElementType()->kind() == c10::TypeKind::TensorType;
}

// True if a number that this op returns depends on elements of tensors, not on sizes alone. How
// many tensors unbind, chunk or split give, sizes say.
bool result_is_data(const torch::jit::Node* node, const std::vector<ValuePtr>& args) {
  const c10::Symbol kind = node->kind();
  const bool of_sizes = reads_only_metadata(kind) ||
                        (node->outputs().size() == 1 && is_list_of_tensors(node->output()->type()));
  bool found = false;
  for (const ValuePtr& arg : args) {
    for_each_part(arg, [&](const ValuePtr& part) {
      const bool tensor = part->is(Value::Kind::kNode) && part->node->type.is_tensor();
      found |= part->from_data || (tensor && !of_sizes);
    });
  }
  return found;
}

bool is_dropped(const c10::Symbol& kind) {
  return kind == aten::warn || kind == prim::Print || kind == prim::Enter || kind == prim::Exit ||
         kind == c10::Symbol::fromQualString("prim::profile");
}

bool is_identity(const c10::Symbol& kind) {
  return kind == prim::unchecked_cast || kind == prim::unchecked_unwrap_optional ||
         kind == aten::_unwrap_optional || kind == aten::wait;
}

// An input, or what its op makes anew, if only as a view: not what may be the op's operand itself
// (contiguous, dropout, and what we know nothing of).
bool is_own_object(const Value& value) {
  if (value.node->is(NodeKind::kPlaceholder) || value.view) return true;
  const Rule rule = op_def(value.node->op()).rule;
  if (rule != Rule::kWeighted && rule != Rule::kObserved) return false;
  const c10::FunctionSchema* schema = value.node->schema();
  return schema && !written_argument(*schema) && !aliased_argument(*schema, 0);
}

// true, false, or nothing if only running tells.
c10::optional<bool> known_none(const ValuePtr& value) {
  if (value->is(Value::Kind::kConstant)) return value->constant.isNone();
  const bool may_be_none = value->is(Value::Kind::kNode) && value->type &&
                           (value->type->kind() == c10::TypeKind::OptionalType ||
                            value->type->kind() == c10::TypeKind::NoneType ||
                            value->type->kind() == c10::TypeKind::AnyType);
  if (may_be_none) return c10::nullopt;
  return false;
}

bool is_sizes(const ValuePtr& value) {
  return value->is(Value::Kind::kNode) && value->node->op() == OpId::kSizes;
}

// x[:]: a view of everything is the tensor itself.
bool is_whole(const torch::jit::Node* node, const std::vector<ValuePtr>& args) {
  if (node->input(0)->type()->kind() != c10::TypeKind::TensorType) return false;
  const bool from_start = args[2]->is_none() || constant_int(*args[2]) == 0;
  const bool to_end = args[3]->is_none() || constant_int(*args[3]) == INT64_MAX;
  return from_start && to_end && constant_int(*args[4]) == 1;
}

// An integer in a 0-dim tensor: traced arithmetic on sizes.
ValuePtr integer_in(const ValuePtr& value) {
  if (value->is(Value::Kind::kNumber)) return value->items[0];
  if (constant_int(*value)) return value;
  if (!value->is_constant_tensor()) return nullptr;
  const at::Tensor& tensor = value->constant.toTensor();
  if (tensor.dim() != 0 || tensor.scalar_type() != at::kLong) return nullptr;
  return make_constant(tensor.item<int64_t>(), c10::IntType::get());
}

}  // namespace

void ScriptReader::call_operator(const JitNode* node) {
  const std::vector<ValuePtr> args = inputs(node);
  if (is_dropped(node->kind())) return poison_outputs(node);
  const auto written = node->maybeSchema() ? written_argument(node->schema()) : std::nullopt;
  if (written && args[*written]->is_state) {
    return change_state(node, args[*written]);
  }
  if (is_wrapped(node->kind())) return emit_operator(node, args);
  if (fold_identity(node, args) || call_container(node, args)) return;
  if (fold_number(node, args) || fold_fraction(node, args)) return;
  if (fold_size(node, args) || fold(node, args)) return;
  if (options_.open_blocks && extend_list(node, args)) return;
  emit_operator(node, args);
}

// A builtin function: "aten::len", or Python's "len".
bool ScriptReader::is_wrapped(c10::Symbol kind) const {
  if (options_.wraps->empty()) return false;
  const std::string name = kind.toQualString();
  return options_.wraps->has(name) || options_.wraps->has(kind.toUnqualString());
}

bool ScriptReader::fold(const JitNode* node, const std::vector<ValuePtr>& args) {
  if (!node->maybeOperator() || returns_tensor(node) || node->isNondeterministic()) return false;
  if (node->hasSideEffects() || written_argument(node->schema())) return false;
  torch::jit::Stack stack;
  for (const ValuePtr& arg : args) {
    auto constant = to_ivalue(*arg);
    if (!constant) return false;
    stack.push_back(*std::move(constant));
  }
  if (node->schema().is_vararg()) stack.emplace_back(static_cast<int64_t>(args.size()));
  torch::jit::Operation operation = node->getOperation();
  operation(stack);
  for (size_t i = 0; i < node->outputs().size(); ++i) {
    bind(node->outputs()[i], from_ivalue(stack.at(i), node->outputs()[i]->type()));
  }
  return true;
}

// Python's `left is right`. Two inputs of the model are taken for two tensors, which is noted.
std::optional<bool> ScriptReader::is_same_object(const JitNode* node, const ValuePtr& left,
                                                 const ValuePtr& right) {
  const auto no_left = known_none(left);
  const auto no_right = known_none(right);
  if (!no_left || !no_right) return std::nullopt;
  if (*no_left || *no_right) return *no_left == *no_right;
  if (!left->is(Value::Kind::kNode) || !right->is(Value::Kind::kNode)) return std::nullopt;
  if (left == right || left->node == right->node) return true;
  if (!is_own_object(*left) || !is_own_object(*right)) return std::nullopt;
  const bool are_inputs =
      left->node->is(NodeKind::kPlaceholder) && right->node->is(NodeKind::kPlaceholder);
  if (!are_inputs) return false;
  guard(fmt::format("{}: %{} and %{} are two tensors", line_of(node), left->node->name(),
                    right->node->name()));
  return false;
}

// By its static type; where that leaves several (Union, Optional, Any), by the example.
std::optional<bool> ScriptReader::is_instance(const JitNode* node, const ValuePtr& value) {
  const std::vector<c10::TypePtr>& wanted = node->tys(torch::jit::attr::types);
  const auto is_one = [&](const c10::Type& type) {
    return std::any_of(wanted.begin(), wanted.end(),
                       [&](const c10::TypePtr& one) { return type.isSubtypeOf(*one); });
  };
  if (value->is(Value::Kind::kConstant)) return is_one(*value->constant.type());
  const bool is_container = !value->is(Value::Kind::kNode) && value->type;
  const c10::TypePtr type = is_container ? value->type : node->input()->type();
  if (is_one(*type)) return true;
  const bool may_be = std::any_of(wanted.begin(), wanted.end(),
                                  [&](const c10::TypePtr& one) { return one->isSubtypeOf(*type); });
  if (!may_be) return false;
  if (value->from_data) return std::nullopt;
  const bool can_run = options_.example && value->is(Value::Kind::kNode);
  const auto seen = can_run ? options_.example->value_of(value->node)
                            : absl::StatusOr<c10::IValue>(absl::UnknownError("no example"));
  if (!seen.ok()) {
    problem(node, fmt::format("code asks for the type of a value that is {}: give example inputs, "
                              "which decide it, or fix the argument",
                              type->repr_str()));
    return std::nullopt;
  }
  guard(fmt::format("{}: %{} is {}, as for the example inputs", line_of(node), value->node->name(),
                    seen->type()->repr_str()));
  return is_one(*seen->type());
}

// isinstance as a node of its own.
ValuePtr ScriptReader::ask_instance(const JitNode* node, const ValuePtr& value) {
  auto graph = std::make_shared<torch::jit::Graph>();
  JitValue* input = graph->addInput()->setType(node->input()->type());
  JitNode* copy = graph->createClone(const_cast<JitNode*>(node), [&](JitValue*) { return input; });
  graph->registerOutput(graph->insertNode(copy)->output());
  return call_opaque_graph(std::move(graph), {value}, "isinstance", node);
}

bool ScriptReader::fold_identity(const JitNode* node, const std::vector<ValuePtr>& args) {
  const c10::Symbol kind = node->kind();
  if (is_identity(kind)) {
    if (args[0]->is_none() && kind == aten::_unwrap_optional) {
      problem(node, "an optional value that is None is used as if it were not");
    } else {
      bind(node->output(), args[0]);
    }
    return true;
  }
  if (kind == aten::__is__ || kind == aten::__isnot__) {
    const auto same = is_same_object(node, args[0], args[1]);
    if (same) bind(node->output(), make_constant(*same == (kind == aten::__is__)));
    return same.has_value();
  }
  if (kind == aten::slice && is_whole(node, args)) {
    bind(node->output(), args[0]);
    return true;
  }
  if (kind == prim::isinstance) {
    const auto known = is_instance(node, args[0]);
    const bool only_running_tells = !known && args[0]->from_data;
    if (known) bind(node->output(), make_constant(*known));
    if (only_running_tells) bind(node->output(), ask_instance(node, args[0]));
    return true;
  }
  return false;
}

// The shape of a module's own tensor.
bool ScriptReader::fold_known_size(const JitNode* node, const std::vector<ValuePtr>& args) {
  const at::Tensor known = emitter_.known_tensor(args[0]);
  if (node->kind() != aten::size || !known.defined()) return false;
  if (args.size() == 1) {
    bind(node->output(), from_ivalue(known.sizes(), node->output()->type()));
    return true;
  }
  const auto index = constant_int(*args[1]);
  if (index) bind(node->output(), make_constant(known.size(*index), c10::IntType::get()));
  return index.has_value();
}

bool ScriptReader::fold_rank(const JitNode* node, const ValuePtr& tensor) {
  const c10::optional<int64_t> rank = rank_of(gm_, tensor->node);
  if (!rank) return false;
  if (!tensor->node->type.dims || tensor->node->is(NodeKind::kPlaceholder)) {
    guard(fmt::format("{}: %{} has {} dimensions", line_of(node), tensor->node->name(), *rank));
  }
  bind(node->output(), make_constant(*rank, c10::IntType::get()));
  return true;
}

// len(x.unbind(dim)) -> x.size(dim)
bool ScriptReader::fold_count(const JitNode* node, const ValuePtr& list) {
  if (node->kind() != aten::len || list->node->op() != OpId::kUnbind) return false;
  const OpView unbind(gm_, list->node);
  const ValuePtr tensor = make_node_value(unbind.operand(0), c10::TensorType::get());
  const ValuePtr dim = make_constant(unbind.attr_int("dim", 0));
  bind(node->output(), emitter_.call("aten::size.int", {tensor, dim}));
  return true;
}

bool ScriptReader::fold_size(const JitNode* node, const std::vector<ValuePtr>& args) {
  if (args.empty() || !args[0]->is(Value::Kind::kNode)) return false;
  if (node->kind() == aten::dim) return fold_rank(node, args[0]);
  if (fold_count(node, args[0])) return true;
  if (fold_known_size(node, args)) return true;
  if (!is_sizes(args[0])) return false;
  const ValuePtr tensor = make_node_value(args[0]->node->args()[0].node(), c10::TensorType::get());
  if (node->kind() == aten::len) return fold_rank(node, tensor);
  const bool indexes = node->kind() == aten::__getitem__ || node->kind() == aten::slice;
  if (!indexes) return false;
  if (node->kind() == aten::__getitem__ && constant_int(*args[1])) {
    bind(node->output(), emitter_.call("aten::size.int", {tensor, args[1]}));
    return true;
  }
  const c10::optional<int64_t> rank = rank_of(gm_, tensor->node);
  if (!rank) return false;
  std::vector<ValuePtr> sizes;
  for (int64_t i = 0; i < *rank; ++i) {
    sizes.push_back(emitter_.call("aten::size.int", {tensor, make_constant(i)}));
  }
  std::vector<ValuePtr> list_args = args;
  list_args[0] = make_items(Value::Kind::kList, std::move(sizes), c10::ListType::ofInts());
  return call_container(node, list_args);
}

namespace {

// Sizes, and what sums, products, quotients and remainders make of them.
bool is_non_negative(const Argument& number) {
  if (const auto* constant = number.get_if<int64_t>()) return *constant >= 0;
  const Node* node = number.node();
  if (!node || op_def(node->op()).rule != Rule::kNotTensor) return false;
  if (node->op() == OpId::kSize) return true;
  if (node->op() == OpId::kGetItem) return node->args()[0].node()->op() == OpId::kSizes;
  const bool differs = node->op() == OpId::kSubInt || node->op() == OpId::kNegInt;
  return !differs && node->type.kind == Type::Kind::kInt &&
         std::all_of(node->args().begin(), node->args().end(), is_non_negative);
}

// div rounds as floordiv: by its mode, or because both are no less than 0.
bool rounds_down(const Value& mode, const Argument& left, const Argument& right) {
  if (!mode.is(Value::Kind::kConstant) || !mode.constant.isString()) return false;
  const std::string& text = mode.constant.toStringRef();
  return text == "floor" || (text == "trunc" && is_non_negative(left) && is_non_negative(right));
}

}  // namespace

// Int(floor(real(size) * 1.5)) -> size * 3 / 2
bool ScriptReader::fold_fraction(const JitNode* node, const std::vector<ValuePtr>& args) {
  if (node->kind() != aten::Int || !args[0]->is(Value::Kind::kNode)) return false;
  const auto fraction = size_fraction(gm_, emitter_, args[0]->node);
  if (!fraction || !is_non_negative(Argument(fraction->number))) return false;
  const auto by = [&](const char* op, const ValuePtr& left, int64_t right) {
    return right == 1 ? left : emitter_.call(op, {left, make_constant(right)});
  };
  const ValuePtr number = make_node_value(fraction->number, c10::IntType::get());
  bind(node->output(), by("aten::floordiv.int", by("aten::mul.int", number, fraction->numerator),
                          fraction->denominator));
  return true;
}

// Traces hold sizes as 0-dim tensors: NumToTensor(size), floor_divide, mul, ..., Int. Integers
// again.
bool ScriptReader::fold_number(const JitNode* node, const std::vector<ValuePtr>& args) {
  const c10::Symbol kind = node->kind();
  const auto bind_number = [&](ValuePtr number) {
    bind(node->output(),
         make_items(Value::Kind::kNumber, {std::move(number)}, c10::TensorType::get()));
    return true;
  };
  if (kind == prim::NumToTensor && node->input()->type()->kind() == c10::TypeKind::IntType) {
    return bind_number(args[0]);
  }
  const bool first = !args.empty() && args[0]->is(Value::Kind::kNumber);
  if (!first && (args.size() < 2 || !args[1]->is(Value::Kind::kNumber))) return false;
  static const auto* reads = new std::unordered_set<std::string>{
      "aten::Int", "aten::ScalarImplicit", "aten::IntImplicit", "aten::item"};
  if (first && reads->count(kind.toQualString())) {
    bind(node->output(), args[0]->items[0]);
    return true;
  }
  static const auto* integer_ops =
      new std::unordered_map<std::string, std::string>{{"aten::add", "aten::add.int"},
                                                       {"aten::sub", "aten::sub.int"},
                                                       {"aten::rsub", "aten::sub.int"},
                                                       {"aten::mul", "aten::mul.int"},
                                                       {"aten::floor_divide", "aten::floordiv.int"},
                                                       {"aten::div", "aten::floordiv.int"},
                                                       {"aten::remainder", "aten::remainder.int"}};
  const auto op = integer_ops->find(kind.toQualString());
  if (op == integer_ops->end()) return false;
  const bool divides = kind == c10::aten::div;
  if (!divides && args.size() > 2 && constant_int(*args[2]) != 1) return false;
  ValuePtr left = integer_in(args[0]);
  ValuePtr right = integer_in(args[1]);
  if (!left || !right) return false;
  if (kind == c10::aten::rsub) std::swap(left, right);
  if (divides && (args.size() != 3 ||
                  !rounds_down(*args[2], emitter_.argument(left), emitter_.argument(right)))) {
    return false;
  }
  if (!is_plain_constant(*left) || !is_plain_constant(*right)) {
    return bind_number(emitter_.call(op->second, {left, right}));
  }
  auto folded = call_schema(*find_callee(op->second).schema, {left->constant, right->constant});
  TORCH_CHECK(folded.ok(), std::string(folded.status().message()));
  return bind_number(make_constant(*std::move(folded), c10::IntType::get()));
}

void ScriptReader::emit_operator(const JitNode* node, const std::vector<ValuePtr>& args) {
  const c10::FunctionSchema* schema = node->maybeSchema();
  if (!schema) {
    return problem(node, fmt::format("{} has no operator behind it", node->kind().toQualString()));
  }
  if (schema->is_vararg()) {
    for (const JitValue* output : node->outputs()) {
      bind(output, make_poison("text that is made from data is used by the computation"));
    }
    return;
  }
  for (const ValuePtr& arg : args) {
    const bool fits = !arg->is(Value::Kind::kModule) && !arg->is(Value::Kind::kObject);
    if (!fits) {
      return problem(node, fmt::format("{} takes a module or an object as an argument; wrap the "
                                       "function that calls it",
                                       node->kind().toQualString()));
    }
  }
  std::vector<c10::TypePtr> types;
  for (const JitValue* output : node->outputs()) types.push_back(output->type());
  if (types.empty()) types.push_back(c10::NoneType::get());
  const std::vector<ValuePtr> results = emitter_.call(*schema, args, types);
  const bool from_data = result_is_data(node, args);
  for (size_t i = 0; i < node->outputs().size(); ++i) {
    const bool is_tensor = types[i]->kind() == c10::TypeKind::TensorType;
    if (!is_tensor && from_data) results[i]->from_data = true;
    bind(node->outputs()[i], results[i]);
  }
}

}  // namespace fxq
