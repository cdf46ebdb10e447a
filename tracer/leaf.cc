// module.forward(x) = aten::conv2d(x, self.weight, self.bias, [2, 2], ...)
//   ->  OpModule conv2d(weight, bias, stride=[2, 2]) called with x
#include "fxq/tracer/leaf.h"

#include <ATen/core/function_schema.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/ir/ir.h>

#include "fxq/graph/ivalue_convert.h"
#include "fxq/graph/naming.h"
#include "fxq/tracer/aliases.h"
#include "fxq/tracer/example_runner.h"
#include "fxq/tracer/rank.h"

namespace fxq {
namespace {

constexpr const char* kBatchCounter = "num_batches_tracked";

// The leaf's code in a graph of its own, with placeholders for what the caller computes.
class LeafReader {
 public:
  // `example` computes values of the caller's graph; null: none.
  LeafReader(const GraphModule& caller, const torch::jit::Module& module,
             const ReaderOptions& options, ExampleRunner* example)
      : caller_(caller),
        caller_example_(example),
        example_(scratch_),
        is_training_(module.hasattr("training") && module.is_training()),
        reader_(scratch_, module, own_options(options, example ? &example_ : nullptr)) {
    reader_.emitter().owns_inputs = true;
  }

  bool read(const std::string& method, const std::vector<ValuePtr>& args) {
    std::vector<ValuePtr> mirrored;
    for (const ValuePtr& arg : args) {
      mirrored.push_back(mirror(arg));
      if (!mirrored.back()) return false;
    }
    result_ = reader_.run_method(reader_.root(), method, std::move(mirrored));
    if (!reader_.problems().empty() || reader_.opaque_blocks() > 0) return false;
    reader_.emitter().output(result_);
    remove_dead_nodes(scratch_);
    return true;
  }

  // The only call, if there is exactly one and it makes the result.
  const Node* only_call() const {
    const Node* call = nullptr;
    for (const Node* node : scratch_.graph().nodes()) {
      if (!node->is_call() || counts_batches(*node)) continue;
      if (call) return nullptr;
      call = node;
    }
    const bool fits = call && call->is(NodeKind::kCallFunction) && call->schema() &&
                      result_->is(Value::Kind::kNode) && result_->node == call &&
                      !written_argument(*call->schema());
    return fits ? call : nullptr;
  }

  // Nothing is computed: the result is an input itself.
  ValuePtr passed_through() const {
    for (const Node* node : scratch_.graph().nodes()) {
      if (node->is_call()) return nullptr;
    }
    return result_->is(Value::Kind::kNode) ? source_of(result_->node) : nullptr;
  }

  ValuePtr source_of(const Node* placeholder) const {
    for (const auto& [original, mirrored, source] : inputs_) {
      if (original == placeholder) return source;
    }
    return nullptr;
  }

  ValuePtr overwritten_input() const {
    for (const auto& [original, mirrored, source] : inputs_) {
      if (mirrored->node != original) return source;
    }
    return nullptr;
  }

  // `num_batches_tracked += 1` of a batch norm that was traced in training: the op's module counts.
  bool counts_batches(const Node& node) const {
    if (!is_training_ || node.args().empty() || !node.users().empty()) return false;
    const Node* counter = node.args()[0].node();
    return counter && counter->is(NodeKind::kGetAttr) && counter->target() == kBatchCounter &&
           node.schema() && written_argument(*node.schema());
  }

  bool stores_state() const { return reader_.stores_state(); }

  at::Tensor tensor(const Node* node) const {
    return node->is(NodeKind::kGetAttr) ? scratch_.tensor(node->target()) : at::Tensor();
  }

 private:
  struct Input {
    const Node* original;
    ValuePtr mirrored;
    ValuePtr source;
  };

  // The leaf is read in eval mode: its mode is an attribute of its op.
  static ReaderOptions own_options(ReaderOptions options, ExampleRunner* example) {
    options.training = false;
    options.state.clear();
    options.example = example;
    return options;
  }

  ValuePtr mirror(const ValuePtr& arg) {
    if (arg->is(Value::Kind::kConstant)) return make_constant(arg->constant, arg->type);
    if (arg->is(Value::Kind::kNumber)) return nullptr;
    if (arg->is(Value::Kind::kNode)) {
      for (const Input& input : inputs_) {  // code may ask whether two arguments are one tensor
        if (input.source == arg) return input.mirrored;
      }
      // Traces hand tied weights from one module to the other as arguments.
      if (arg->node->is(NodeKind::kGetAttr)) {
        const std::string& path = arg->node->target();
        return reader_.emitter().attribute("caller." + path, caller_.tensor(path));
      }
      if (caller_example_) {
        auto seen = caller_example_->value_of(arg->node);
        if (!seen.ok()) return nullptr;
        example_.add_input(*std::move(seen));
      }
      ValuePtr mirrored = reader_.emitter().placeholder("input", arg->type);
      if (const auto rank = rank_of(caller_, arg->node)) {
        mirrored->node->type.dims.emplace(static_cast<size_t>(*rank));
      }
      mirrored->from_data = arg->from_data;
      inputs_.push_back({mirrored->node, mirrored, arg});
      return mirrored;
    }
    if (!arg->is(Value::Kind::kList) && !arg->is(Value::Kind::kTuple)) return nullptr;
    std::vector<ValuePtr> items;
    for (const ValuePtr& item : arg->items) {
      items.push_back(mirror(item));
      if (!items.back()) return nullptr;
    }
    return make_items(arg->kind, std::move(items), arg->type);
  }

  const GraphModule& caller_;
  ExampleRunner* caller_example_;
  GraphModule scratch_;
  ExampleRunner example_;
  bool is_training_;  // the module as it was saved
  ScriptReader reader_;
  ValuePtr result_;
  std::vector<Input> inputs_;
};

const Argument* find_argument(const Node& call, size_t index, const std::string& name) {
  if (index < call.args().size()) return &call.args()[index];
  return call.kwarg(name);
}

bool is_frozen(const torch::jit::Module& module, const ReaderOptions& options) {
  return options.as_module && options.training && module.hasattr("training") &&
         !module.is_training();
}

// The mode argument stays fixed where it does not mean the mode: batch norm without running
// statistics, a frozen module, a trace that has baked in the other mode.
bool mode_is_fixed(const Node& call, bool value, const torch::jit::Module& module,
                   const ReaderOptions& options) {
  if (is_frozen(module, options)) return true;
  const auto mean = call.schema()->argumentIndexWithName("running_mean");
  if (mean) {
    const Argument* statistics = find_argument(call, static_cast<size_t>(*mean), "running_mean");
    if (!statistics || statistics->is_none()) return true;
  }
  return value && !(module.hasattr("training") && module.is_training());
}

struct Parts {
  NamedTensors tensors;
  NamedAttributes attributes;
  std::vector<ValuePtr> inputs;
};

bool is_tensor_type(const c10::TypePtr& type) {
  if (type->kind() == c10::TypeKind::TensorType) return true;
  return type->kind() == c10::TypeKind::OptionalType &&
         type->containedTypes()[0]->kind() == c10::TypeKind::TensorType;
}

// Sorts one argument of the call into inputs, tensors and attributes; false if it fits nowhere.
bool sort_argument(const Node& call, size_t index, const LeafReader& leaf,
                   const torch::jit::Module& module, const ReaderOptions& options, Parts* parts) {
  const c10::Argument& formal = call.schema()->arguments()[index];
  const Argument* given = find_argument(call, index, formal.name());
  if (!given) {
    if (is_tensor_type(formal.type())) parts->tensors.emplace_back(formal.name(), at::Tensor());
    return true;
  }
  if (const Node* node = given->node()) {
    const at::Tensor tensor = leaf.tensor(node);
    const ValuePtr source = leaf.source_of(node);
    if (tensor.defined()) parts->tensors.emplace_back(formal.name(), tensor);
    if (source) parts->inputs.push_back(source);
    return tensor.defined() || source != nullptr;
  }
  if (!given->is_constant()) return false;
  if (given->is_none() && is_tensor_type(formal.type())) {
    parts->tensors.emplace_back(formal.name(), at::Tensor());
    return true;
  }
  const bool* flag = given->get_if<bool>();
  if (flag && is_mode_argument(formal.name()) && !mode_is_fixed(call, *flag, module, options)) {
    return true;
  }
  const bool frozen = flag && is_mode_argument(formal.name()) && is_frozen(module, options);
  const Argument value = frozen ? Argument(false) : *given;
  if (!formal.default_value() || to_argument(*formal.default_value()) != value) {
    parts->attributes.emplace_back(formal.name(), value);
  }
  return true;
}

std::string class_of(const torch::jit::Module& module) {
  return module.type()->name() ? python_name(module.type()->name()->qualifiedName()) : "";
}

bool fill_from_call(const Node& call, const LeafReader& reader, const torch::jit::Module& module,
                    const ReaderOptions& options, Leaf* leaf) {
  Parts parts;
  for (size_t i = 0; i < call.schema()->arguments().size(); ++i) {
    if (!sort_argument(call, i, reader, module, options, &parts)) return false;
  }
  const bool counts = module.hasattr(kBatchCounter) && module.attr(kBatchCounter).isTensor();
  if (counts) parts.tensors.emplace_back(kBatchCounter, module.attr(kBatchCounter).toTensor());
  leaf->module = call.op() == OpId::kNone
                     ? std::make_shared<OpModule>(class_of(module), call.schema(), parts.tensors,
                                                  parts.attributes)
                     : std::make_shared<OpModule>(class_of(module), call.op(), parts.tensors,
                                                  parts.attributes);
  leaf->inputs = std::move(parts.inputs);
  leaf->in_place = reader.overwritten_input();
  const auto aliased = aliased_argument(*call.schema(), 0);
  if (aliased && *aliased < leaf->inputs.size()) leaf->aliased = aliased;
  return true;
}

}  // namespace

namespace {

// "torch.ao.quantization.stubs.QuantStub", or a class of the user's that is named like it: the op.
OpId passing_op(const torch::jit::Module& module) {
  const std::string name = class_of(module);
  return op_from_module_type(name.substr(name.rfind('.') + 1));  // npos + 1 is 0
}

// The scale of a stub whose class has one.
NamedAttributes stub_attributes(const torch::jit::Module& module) {
  if (!module.hasattr("scale")) return {};
  const c10::IValue scale = module.attr("scale");
  if (scale.isDouble() || scale.isInt()) return {{"scale", Argument(scale.toScalar().toDouble())}};
  const bool is_one = scale.isTensor() && scale.toTensor().numel() == 1;
  if (!is_one) return {};
  return {{"scale", Argument(scale.toTensor().item<double>())}};
}

LeafKind judge_leaf(const LeafReader& reader, const torch::jit::Module& module,
                    const ReaderOptions& options, Leaf* leaf) {
  if (const ValuePtr input = reader.passed_through()) {
    const OpId op = passing_op(module);
    if (op_def(op).schema.empty()) return LeafKind::kSeveralOps;
    leaf->module = std::make_shared<OpModule>(
        class_of(module), op, NamedTensors{},
        op == OpId::kQuantStub ? stub_attributes(module) : NamedAttributes{});
    leaf->inputs = {input};
    leaf->aliased = 0;
    return LeafKind::kOneOp;
  }
  if (reader.stores_state()) return LeafKind::kSeveralOps;
  const Node* call = reader.only_call();
  const bool one_op = call && fill_from_call(*call, reader, module, options, leaf);
  return one_op ? LeafKind::kOneOp : LeafKind::kSeveralOps;
}

}  // namespace

LeafKind read_leaf(const GraphModule& gm, const torch::jit::Module& module,
                   const std::string& method, const std::vector<ValuePtr>& args,
                   const ReaderOptions& options, Leaf* leaf) {
  LeafReader reader(gm, module, options, nullptr);
  if (reader.read(method, args)) return judge_leaf(reader, module, options, leaf);
  if (!options.example) return LeafKind::kUncapturable;
  LeafReader with_example(gm, module, options, options.example);
  if (!with_example.read(method, args)) return LeafKind::kUncapturable;
  return judge_leaf(with_example, module, options, leaf);
}

bool same_leaf(const LeafModule& a, const OpModule& b) {
  if (a.kind() != b.kind() || a.attributes() != b.attributes()) return false;
  const NamedTensors left = a.tensors();
  const NamedTensors right = b.tensors();
  if (left.size() != right.size()) return false;
  for (size_t i = 0; i < left.size(); ++i) {
    const at::Tensor& x = left[i].second;
    const at::Tensor& y = right[i].second;
    if (left[i].first != right[i].first || x.defined() != y.defined()) return false;
    if (x.defined() && !x.is_alias_of(y)) return false;
  }
  return true;
}

}  // namespace fxq
