// %y = conv2d @conv(%x, activation="relu")   ->   %1 = prim::GetAttr[name="conv"](%self); ...
//     %4 = aten::conv2d(%x, %2, %3, ...); %y = aten::relu(%4)
#include "fxq/graph/to_torchscript.h"

#include <fmt/format.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/ir/ir.h>

#include "fxq/base/status.h"
#include "fxq/graph/ivalue_convert.h"
#include "fxq/graph/naming.h"
#include "fxq/graph/op_module.h"
#include "fxq/graph/opaque_module.h"
#include "fxq/graph/problems.h"
#include "fxq/graph/script_module_tree.h"
#include "fxq/graph/verifier.h"
#include "fxq/graph/weighted_bn_module.h"

namespace fxq {
namespace {

namespace jit = torch::jit;
namespace prim = torch::jit::prim;

c10::TypePtr static_type(const Type& type) {
  const auto element = [&] {
    return type.elements.empty() ? c10::TypePtr(c10::TensorType::get())
                                 : static_type(type.elements[0]);
  };
  switch (type.kind) {
    case Type::Kind::kInt:
      return c10::IntType::get();
    case Type::Kind::kFloat:
      return c10::FloatType::get();
    case Type::Kind::kBool:
      return c10::BoolType::get();
    case Type::Kind::kStr:
      return c10::StringType::get();
    case Type::Kind::kDevice:
      return c10::DeviceObjType::get();
    case Type::Kind::kList:
      return c10::ListType::create(element());
    case Type::Kind::kOptional:
      return c10::OptionalType::create(element());
    case Type::Kind::kDict:
      return c10::DictType::create(c10::StringType::get(), element());
    case Type::Kind::kTuple: {
      std::vector<c10::TypePtr> elements;
      for (const Type& part : type.elements) elements.push_back(static_type(part));
      return c10::TupleType::create(std::move(elements));
    }
    default:
      return c10::TensorType::get();
  }
}

// Overloads that differ in arguments that are None here: upsample_bilinear2d with sizes, with and
// without .vec.
bool means_the_same(const c10::FunctionSchema& picked, const c10::FunctionSchema& meant,
                    const std::vector<jit::Value*>& values) {
  for (size_t i = 1; i < values.size(); ++i) {
    const bool same_name = i < picked.arguments().size() &&
                           picked.arguments()[i].name() == meant.arguments()[i].name();
    if (!same_name && values[i]->type()->kind() != c10::TypeKind::NoneType) return false;
  }
  return picked.name() == meant.name();
}

constexpr const char* kForIntegers =
    "integers have no form in TorchScript; run them as a .fxq program or export them to ONNX";

bool is_open(const c10::TypePtr& type) { return !type || type->hasFreeVariables(); }

// Writes one graph, node by node.
class ScriptWriter {
 public:
  explicit ScriptWriter(const GraphModule& gm)
      : gm_(gm), tree_(gm.is_training()), graph_(std::make_shared<jit::Graph>()) {
    graph_->addInput("self")->setType(tree_.root().type());
  }

  absl::StatusOr<jit::Module> write() {
    add_contents();
    Problems problems;
    for (const Node* node : gm_.graph().nodes()) {
      const std::string problem = write_node(*node);
      if (problem.empty()) continue;
      problems.add(fmt::format("  %{} ({}){}: {}", node->name(), node->target(),
                               node->source.empty() ? "" : " at " + node->source, problem));
    }
    FXQ_RETURN_IF_ERROR(
        problems.status(absl::StatusCode::kUnimplemented, "the graph has no TorchScript form:"));
    graph_->lint();
    tree_.set_forward(graph_);
    return tree_.root();
  }

 private:
  // The graph reads self's attributes: the modules' types must be whole before it does.
  void add_contents() {
    for (const std::string& path : gm_.module_paths()) {
      const auto* opaque = dynamic_cast<const OpaqueModule*>(gm_.module(path).get());
      if (opaque) add_opaque(path, *opaque);
    }
    for (const auto& [path, tensor] : gm_.named_parameters()) tree_.add_tensor(path, tensor, true);
    for (const auto& [path, tensor] : gm_.named_buffers()) tree_.add_tensor(path, tensor, false);
    for (const Node* node : gm_.graph().nodes()) {
      if (node->is(NodeKind::kGetAttr)) {
        tree_.add_tensor(node->target(), gm_.tensor(node->target()), false);
      }
    }
    graph_->inputs()[0]->setType(tree_.root().type());
  }

  // What stands in the way, or nothing.
  std::string write_node(const Node& node) {
    values_[&node] = nullptr;
    for (const Node* input : node.inputs()) {
      if (!values_.at(input)) return "";  // told already; another problem would be its echo
    }
    if (node.type.qparams) return kForIntegers;
    try {
      values_[&node] = value_of(node);
    } catch (const c10::Error& error) {
      return std::string(error.what_without_backtrace());
    } catch (const std::exception& error) {
      return error.what();
    }
    return "";
  }

  jit::Value* value_of(const Node& node) {
    switch (node.kind()) {
      case NodeKind::kPlaceholder: {
        jit::Value* input = graph_->addInput(node.target());
        input->setType(static_type(node.type));
        return input;
      }
      case NodeKind::kGetAttr:
        return tree_.read(*graph_, node.target());
      case NodeKind::kOutput:
        graph_->registerOutput(argument(node.args()[0], nullptr));
        return graph_->outputs()[0];
      case NodeKind::kCallModule:
        return epilogue(node, call_module(node));
      case NodeKind::kCallFunction:
        if (node.op() == OpId::kGuard) return guard(node);
        if (node.op() == OpId::kAssign) return assign(node);
        return epilogue(node, node.op() == OpId::kGetItem ? get_item(node) : call_function(node));
      case NodeKind::kCallMethod:
        break;
    }
    TORCH_CHECK(false, "methods of objects are not written; call the operator behind it");
  }

  jit::Value* constant(const c10::IValue& value) { return graph_->insertConstant(value); }

  // Code that took a value for no None has looked before.
  jit::Value* refined(jit::Value* value, const c10::TypePtr& formal) {
    const bool maybe_none = value->type()->kind() == c10::TypeKind::OptionalType;
    const bool wants_one = !is_open(formal) && formal->kind() != c10::TypeKind::OptionalType &&
                           formal->kind() != c10::TypeKind::AnyType;
    if (!maybe_none || !wants_one) return value;
    return graph_->insertUncheckedCast(value, without_optional(value->type()));
  }

  // (x, 2) where a NamedTuple is wanted; graphs do not keep the names.
  jit::Value* named(jit::Value* value, const c10::TypePtr& formal) {
    const auto wanted = is_open(formal) ? nullptr : formal->cast<c10::TupleType>();
    const auto plain = value->type()->cast<c10::TupleType>();
    if (!wanted || !wanted->name() || !plain || plain->name()) return value;
    if (plain->elements().size() != wanted->elements().size()) return value;
    const at::ArrayRef<jit::Value*> items = jit::createTupleUnpack(value);
    return tuple_value(items.vec(), wanted);
  }

  jit::Value* tuple_value(std::vector<jit::Value*> items, const c10::TypePtr& type) {
    const auto wanted = is_open(type) ? nullptr : type->cast<c10::TupleType>();
    if (!wanted || !wanted->name()) return graph_->insertNode(graph_->createTuple(items))->output();
    for (size_t i = 0; i < items.size(); ++i) items[i] = named(items[i], wanted->elements()[i]);
    return graph_->insertNode(graph_->createTuple(items, wanted))->output();
  }

  jit::Value* argument(const Argument& argument, const c10::TypePtr& formal) {
    if (const Node* node = argument.node()) {
      return named(refined(values_.at(node), formal), without_optional(formal));
    }
    // A list is made anew by each call: code behind it may change it.
    const bool changes = argument.items() || argument.is<DictArg>();
    if (argument.is_constant() && !argument.is<SliceArg>() && !changes) {
      return constant(to_ivalue_as(argument, is_open(formal) ? nullptr : formal));
    }
    const c10::TypePtr type = without_optional(formal);
    if (const auto* dict = argument.get_if<DictArg>()) return dict_value(*dict, type);
    const std::vector<Argument>* items = argument.items();
    TORCH_CHECK(items, "Python's slices are no arguments of operators; call aten::slice");
    if (argument.is<ListArg>() || (type && type->kind() == c10::TypeKind::ListType)) {
      return list_value(*items, type);
    }
    std::vector<jit::Value*> values;
    for (size_t i = 0; i < items->size(); ++i) {
      const bool known = type && type->kind() == c10::TypeKind::TupleType;
      values.push_back(this->argument((*items)[i], known ? type->containedTypes()[i] : nullptr));
    }
    return tuple_value(std::move(values), type);
  }

  jit::Value* list_value(const std::vector<Argument>& items, const c10::TypePtr& type) {
    c10::TypePtr element = is_open(type) ? nullptr : type->containedTypes()[0];
    std::vector<jit::Value*> values;
    for (const Argument& item : items) values.push_back(argument(item, element));
    if (!element) element = values.empty() ? c10::TensorType::get() : values[0]->type();
    if (element->kind() == c10::TypeKind::TensorType) element = c10::TensorType::get();
    return graph_->insertNode(graph_->createList(element, values))->output();
  }

  jit::Value* dict_value(const DictArg& dict, const c10::TypePtr& type) {
    std::vector<jit::Value*> keys, values;
    const bool open = is_open(type);
    for (const auto& [key, item] : dict.items) {
      keys.push_back(argument(key, nullptr));
      values.push_back(argument(item, open ? nullptr : type->containedTypes()[1]));
    }
    c10::TypePtr key_type = c10::StringType::get(), item_type = c10::TensorType::get();
    if (!keys.empty()) key_type = keys[0]->type();
    if (!values.empty() && !values[0]->type()->isSubtypeOf(*item_type)) {
      item_type = values[0]->type();
    }
    if (!open) key_type = type->containedTypes()[0];
    if (!open) item_type = type->containedTypes()[1];
    return graph_->insertNode(graph_->createDict(key_type, item_type, keys, values))->output();
  }

  // All arguments in schema order; the op that TorchScript picks must be the one that was meant.
  jit::Value* call(const c10::FunctionSchema& schema, const std::vector<jit::Value*>& values) {
    if (is_own(schema)) {  // identity and stubs; others have integers
      TORCH_CHECK(op_def(op_from_overload(schema.name())).rule != Rule::kNotTensor, kForIntegers);
      return values[0];
    }
    std::vector<jit::NamedValue> args, kwargs;
    for (size_t i = 0; i < values.size(); ++i) {
      const bool keyword = i < schema.arguments().size() && schema.arguments()[i].kwarg_only();
      if (keyword) {
        kwargs.emplace_back(schema.arguments()[i].name(), values[i]);
      } else {
        args.emplace_back(values[i]);
      }
    }
    const auto kind = c10::Symbol::fromQualString(schema.name());
    jit::Value* result = graph_->insert(kind, args, kwargs);
    const jit::Node* made = result->node();
    if (made->kind() == prim::TupleConstruct && !made->inputs().empty()) {
      made = made->input(0)->node();
    }
    const bool same = made->kind() != kind ||
                      made->schema().overload_name() == schema.overload_name() ||
                      means_the_same(made->schema(), schema, values);
    TORCH_CHECK(same, "TorchScript would call ", made->schema());
    return result;
  }

  jit::Value* call_function(const Node& node) {
    TORCH_CHECK(node.schema(), "this LibTorch has no such operator");
    const c10::FunctionSchema& schema = *node.schema();
    std::vector<jit::Value*> values;
    for (size_t i = 0; i < schema.arguments().size(); ++i) {
      const c10::Argument& formal = schema.arguments()[i];
      const Argument* given = i < node.args().size() ? &node.args()[i] : node.kwarg(formal.name());
      if (node.follows_mode && is_mode_argument(formal.name())) {
        values.push_back(constant(gm_.is_training()));
      } else if (given) {
        values.push_back(argument(*given, formal.type()));
      } else {
        TORCH_CHECK(formal.default_value(), "it needs an argument ", formal.name());
        values.push_back(constant(*formal.default_value()));
      }
    }
    return call(schema, values);
  }

  // self.h = value
  jit::Value* assign(const Node& node) {
    const Node* target = node.args()[0].node();
    TORCH_CHECK(target && target->is(NodeKind::kGetAttr), "it assigns to no tensor of the model");
    tree_.write(*graph_, target->target(), argument(node.args()[1], c10::TensorType::get()));
    return nullptr;  // nobody reads it
  }

  // if not condition: raise
  jit::Value* guard(const Node& node) {
    jit::Value* condition = argument(node.args()[0], c10::BoolType::get());
    jit::Node* check = graph_->insertNode(graph_->create(prim::If, {condition}, 0));
    check->addBlock();
    const jit::WithInsertPoint inside(check->addBlock());
    jit::Value* message = argument(node.args()[1], c10::StringType::get());
    jit::Node* raise = graph_->create(prim::RaiseException, {message, constant(c10::IValue())}, 0);
    graph_->insertNode(raise);
    return nullptr;  // nobody reads it
  }

  jit::Value* get_item(const Node& node) {
    jit::Value* whole = argument(node.args()[0], nullptr);
    jit::Value* key = argument(node.args()[1], nullptr);
    if (const auto tuple = whole->type()->cast<c10::TupleType>()) {
      const auto size = static_cast<int64_t>(tuple->elements().size());
      const int64_t* given = node.args()[1].get_if<int64_t>();
      const bool fits = given && *given >= -size && *given < size;
      TORCH_CHECK(fits, "a tuple of ", size, " items takes a constant index that lies inside");
      const auto index = static_cast<size_t>(*given < 0 ? *given + size : *given);
      jit::Node* item = graph_->createTupleIndex(whole, key, tuple->elements()[index]);
      return graph_->insertNode(item)->output();
    }
    return graph_->insert(jit::aten::__getitem__, {whole, key});
  }

  jit::Value* call_module(const Node& node) {
    const std::shared_ptr<LeafModule> module = gm_.module(node.target());
    TORCH_CHECK(module, "there is no such module");
    if (const auto* opaque = dynamic_cast<const OpaqueModule*>(module.get())) {
      return call_opaque(node, *opaque);
    }
    const auto* op = dynamic_cast<const OpModule*>(module.get());
    TORCH_CHECK(
        op, "a ", module->class_name(),
        " has no TorchScript form; write the float graph, or convert it and export it to ONNX");
    return call_op(node, *op);
  }

  // With a state of its own.
  void add_opaque(const std::string& path, const OpaqueModule& opaque) {
    const auto copy = opaque.keeps_state() ? opaque.clone_leaf() : nullptr;
    const auto* own = dynamic_cast<const OpaqueModule*>(copy.get());
    tree_.add_module(path, (own ? *own : opaque).script_module());
  }

  jit::Value* call_opaque(const Node& node, const OpaqueModule& opaque) {
    const auto& formals = opaque.script_module().get_method("forward").function().getSchema();
    std::vector<jit::Value*> inputs = {tree_.read(*graph_, node.target())};
    for (size_t i = 0; i < node.args().size(); ++i) {
      inputs.push_back(argument(node.args()[i], formals.arguments().at(i + 1).type()));
    }
    jit::Node* call = graph_->create(prim::CallMethod, inputs);
    call->s_(jit::attr::name, "forward");
    call->output()->setType(formals.returns().at(0).type());
    return graph_->insertNode(call)->output();
  }

  jit::Value* call_op(const Node& node, const OpModule& op) {
    const c10::FunctionSchema& schema = *op.callee().schema;
    const auto sources = op.sources(node.args().size());
    TORCH_CHECK(sources.ok(), std::string(sources.status().message()));
    std::vector<jit::Value*> values;
    auto next_input = node.args().begin();
    for (size_t i = 0; i < sources->size(); ++i) {
      const c10::Argument& formal = schema.arguments()[i];
      const std::string& name = formal.name();
      switch ((*sources)[i]) {
        case OpModule::Source::kTensor:
          values.push_back(op.tensor(name).defined()
                               ? tree_.read(*graph_, node.target() + "." + name)
                               : constant(c10::IValue()));
          break;
        case OpModule::Source::kAttribute:
          values.push_back(argument(*op.attribute(name), formal.type()));
          break;
        case OpModule::Source::kMode:
          values.push_back(constant(op.is_training()));
          break;
        case OpModule::Source::kInput:
          values.push_back(argument(*next_input++, formal.type()));
          break;
        case OpModule::Source::kDefault:
          values.push_back(constant(*formal.default_value()));
          break;
      }
    }
    return call(schema, values);
  }

  jit::Value* epilogue(const Node& node, jit::Value* value) {
    if (const Node* add = node.epilogue_add()) {
      value = graph_->insert(jit::aten::add, {value, values_.at(add)});
    }
    const OpId activation = node.epilogue_activation();
    if (activation == OpId::kNone) return value;
    const c10::FunctionSchema& schema = *canonical_schema(activation);
    std::vector<jit::Value*> values = {value};
    for (size_t i = 1; i < schema.arguments().size(); ++i) {
      values.push_back(constant(*schema.arguments()[i].default_value()));
    }
    return call(schema, values);
  }

  const GraphModule& gm_;
  ScriptModuleTree tree_;
  std::shared_ptr<jit::Graph> graph_;
  std::unordered_map<const Node*, jit::Value*> values_;
};

}  // namespace

absl::StatusOr<torch::jit::Module> to_torchscript(const GraphModule& gm) {
  FXQ_RETURN_IF_ERROR(verify(gm));
  FXQ_RETURN_IF_ERROR(refuse_weighted_bn(gm, "to_torchscript"));
  try {
    return ScriptWriter(gm).write();
  } catch (const c10::Error& error) {
    return absl::UnimplementedError(std::string("the graph has no TorchScript form: ") +
                                    error.what_without_backtrace());
  } catch (const std::exception& error) {
    return absl::UnimplementedError(std::string("the graph has no TorchScript form: ") +
                                    error.what());
  }
}

}  // namespace fxq
