// prim::If(%c) { y = f(%x) } { y = %x }   ->   %if = @if(%c, %x), bodies (x) -> (f(x)), (x) -> (x)
// What a body reads from outside becomes an operand of the call and a placeholder of the body;
// constants are known inside too.
#include "fxq/tracer/open_block.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/csrc/jit/api/function_impl.h>
#include <torch/csrc/jit/api/module.h>

#include "fxq/tracer/opened_body.h"
#include "fxq/tracer/script_reader.h"
#include "fxq/tracer/tensor_writes.h"
#include "fxq/tracer/trace.h"

namespace fxq {

namespace jit = torch::jit;

namespace {

bool changes_something(const GraphModule& body) {
  for (const Node* node : body.graph().nodes()) {
    if (node->is_call() && node->op() != OpId::kGuard && is_impure(*node)) return true;
  }
  return false;
}

}  // namespace

// An If or a Loop on its way into a BlockModule.
class BlockOpener {
 public:
  BlockOpener(ScriptReader& reader, const jit::Node* node) : reader_(reader), node_(node) {}

  void open_if() {
    if (!capture()) return;
    const std::vector<Node*> operands = nodes_in(captured_values_);
    std::vector<GraphModule> bodies;
    for (const jit::Block* block : node_->blocks()) {
      OpenedBody body(reader_);
      body.take_operands(operands);
      bind_captured(body);
      for (const ValuePtr& value : written_) body.inside(value)->storage->external = false;
      std::vector<ValuePtr> outputs = body.run(block);
      for (const ValuePtr& value : written_) outputs.push_back(body.inside(value));
      bodies.push_back(body.finish(std::move(outputs)));
    }
    std::vector<c10::TypePtr> types = result_types();
    emit(BlockKind::kIf, std::move(bodies), {reader_.get(node_->input())}, operands, types);
  }

  void open_loop(const std::vector<ValuePtr>& state, int64_t first_trip) {
    if (!capture()) return;
    const jit::Block* block = node_->blocks()[0];
    std::vector<ValuePtr> carried(state.begin() + 2, state.end());
    carried.insert(carried.end(), written_.begin(), written_.end());
    if (!as_nodes(carried) || !may_write(carried)) return;
    const std::vector<Node*> operands = nodes_in(captured_values_);
    OpenedBody body(reader_);
    bind_trip(body, first_trip);
    std::vector<ValuePtr> inside;
    const std::vector<c10::TypePtr> types = result_types();
    for (size_t i = 0; i < carried.size(); ++i) {
      inside.push_back(body.input(fmt::format("carried_{}", i), types[i]));
      if (captured_.own_written.count(i + 1) != 0) inside.back()->storage->external = false;
      if (i + 1 < block->inputs().size()) body.bind(block->inputs()[i + 1], inside.back());
    }
    body.take_operands(operands);
    bind_captured(body);
    for (size_t i = 0; i < written_.size(); ++i) {
      const size_t at = carried.size() - written_.size() + i;
      inside[at]->storage->external = false;
      bind_written(body, written_[i], inside[at]);
    }
    std::vector<ValuePtr> outputs = body.run(block);
    outputs.insert(outputs.end(), inside.end() - static_cast<int64_t>(written_.size()),
                   inside.end());
    std::vector<GraphModule> bodies;
    bodies.push_back(body.finish(std::move(outputs)));
    std::vector<ValuePtr> first = {trips_left(state[0], first_trip), state[1]};
    first.insert(first.end(), carried.begin(), carried.end());
    emit(BlockKind::kLoop, std::move(bodies), std::move(first), operands, types);
    for (const size_t index : captured_.own_written) *carried[index - 1] = Value();  // gone
  }

 private:
  // False if that is not possible; then the reader has the problem.
  bool capture() {
    for (const jit::Block* block : node_->blocks()) add_captured(block, captured_);
    if (captured_.writes_inside) {
      reader_.problem(node_, "a list or dict that is inside another changes");
      return false;
    }
    for (const jit::Value* value : captured_.values) {
      const ValuePtr known = reader_.get(value);
      if (captured_.written.count(value) != 0 && !add_written(known)) return false;
    }
    for (const jit::Value* value : captured_.values) {
      captured_values_.push_back(reader_.get(value));
    }
    return true;
  }

  bool add_written(const ValuePtr& value) {
    if (std::find(written_.begin(), written_.end(), value) != written_.end()) return true;
    written_.push_back(value);
    const bool tensor = value->type && value->type->kind() == c10::TypeKind::TensorType;
    if (!tensor) return as_node(value);
    if (reader_.emitter().can_rebind(*value)) return true;
    reader_.problem(node_, "it changes a tensor in place that is seen elsewhere too");
    return false;
  }

  bool as_nodes(const std::vector<ValuePtr>& values) {
    for (const ValuePtr& value : values) {
      const bool container = value->is(Value::Kind::kList) || value->is(Value::Kind::kDict);
      if (container && !as_node(value)) return false;
    }
    return true;
  }

  // What goes round and is written into is another one afterwards: nobody may hold it as it was.
  bool may_write(const std::vector<ValuePtr>& carried) {
    for (const size_t index : captured_.own_written) {
      const ValuePtr& value = carried[index - 1];
      const bool read_inside = std::find(captured_values_.begin(), captured_values_.end(), value) !=
                               captured_values_.end();
      const bool tensor = value->type && value->type->kind() == c10::TypeKind::TensorType;
      const bool shared = tensor && !reader_.emitter().can_rebind(*value);
      if (!read_inside && !shared && !reader_.used_later(*value)) continue;
      reader_.problem(node_,
                      "what goes round in a loop changes in place, and is seen elsewhere too");
      return false;
    }
    return true;
  }

  // A list whose items are known becomes one value.
  bool as_node(const ValuePtr& list) {
    if (list->is(Value::Kind::kNode)) return true;
    if (!list->is(Value::Kind::kList)) {
      reader_.problem(node_, "a dict changes here");
      return false;
    }
    reader_.emitter().make_unknown(list);
    return true;
  }

  void bind_captured(OpenedBody& body) {
    for (size_t i = 0; i < captured_.values.size(); ++i) {
      body.bind(captured_.values[i], body.inside(captured_values_[i]));
    }
  }

  void bind_written(OpenedBody& body, const ValuePtr& list, const ValuePtr& inside) {
    for (size_t i = 0; i < captured_.values.size(); ++i) {
      if (captured_values_[i] == list) body.bind(captured_.values[i], inside);
    }
  }

  // Trips that were taken already count.
  void bind_trip(OpenedBody& body, int64_t first_trip) {
    ValuePtr trip = body.input("trip", c10::IntType::get());
    if (first_trip > 0) {
      trip = body.reader().emitter().call("aten::add.int", {trip, make_constant(first_trip)});
    }
    body.bind(node_->blocks()[0]->inputs()[0], trip);
  }

  ValuePtr trips_left(const ValuePtr& limit, int64_t first_trip) {
    const auto constant = constant_int(*limit);
    if (first_trip == 0 || constant == kEndlessTrips) return limit;
    if (constant) return make_constant(*constant - first_trip, c10::IntType::get());
    return reader_.emitter().call("aten::sub.int", {limit, make_constant(first_trip)});
  }

  std::vector<c10::TypePtr> result_types() const {
    std::vector<c10::TypePtr> types;
    for (const jit::Value* output : node_->outputs()) types.push_back(output->type());
    for (const ValuePtr& list : written_) types.push_back(list->type);
    return types;
  }

  void emit(BlockKind kind, std::vector<GraphModule> bodies, std::vector<ValuePtr> first,
            const std::vector<Node*>& operands, const std::vector<c10::TypePtr>& types) {
    if (!reader_.problems_.empty()) return reader_.poison_outputs(node_);
    if (types.empty()) return drop(bodies);
    for (Node* node : operands) first.push_back(make_node_value(node, nullptr));
    std::vector<Type> results;
    for (const c10::TypePtr& type : types) results.push_back(node_type(type));
    GraphModule& gm = reader_.gm_;
    const std::string path = gm.unique_path(kind == BlockKind::kIf ? "if" : "loop");
    gm.set_module(path, std::make_shared<BlockModule>(kind, std::move(bodies), std::move(results)));
    const ValuePtr all = reader_.emitter().call_module(path, first, c10::TupleType::create(types));
    all->from_data = true;
    for (const ValuePtr& value : captured_values_) {  // it may return what it was given
      for_each_part(value, [&](const ValuePtr& part) { merge_storage(all, part); });
    }
    bind_results(all, types);
  }

  void bind_results(const ValuePtr& all, const std::vector<c10::TypePtr>& types) {
    const size_t own = node_->outputs().size();
    for (size_t i = 0; i < types.size(); ++i) {
      const ValuePtr part = reader_.emitter().getitem(all, static_cast<int64_t>(i), types[i]);
      if (i < own) {
        reader_.bind(node_->outputs()[i], part);
        continue;
      }
      // A tensor of its own, unless a result may be a view of it.
      const bool apart = own == 0 && types[i]->kind() == c10::TypeKind::TensorType;
      reader_.emitter().become(written_[i - own],
                               apart ? make_node_value(part->node, part->type) : part);
    }
  }

  // Code without results may still write.
  void drop(const std::vector<GraphModule>& bodies) {
    for (const GraphModule& body : bodies) {
      if (changes_something(body)) {
        return reader_.problem(node_, "it changes tensors that are outside of it in place");
      }
    }
  }

  ScriptReader& reader_;
  const jit::Node* node_;
  Captured captured_;
  std::vector<ValuePtr> captured_values_;
  std::vector<ValuePtr> written_;
};

void ScriptReader::open_if(const JitNode* node) { BlockOpener(*this, node).open_if(); }

void ScriptReader::open_loop(const JitNode* node, const std::vector<ValuePtr>& state,
                             int64_t first_trip) {
  BlockOpener(*this, node).open_loop(state, first_trip);
}

// xs.append(x), xs.extend(ys), xs += ys   ->   xs is xs + [x] from here on
bool ScriptReader::extend_list(const JitNode* node, const std::vector<ValuePtr>& args) {
  const bool appends = node->kind() == jit::aten::append;
  const bool extends = node->kind() == c10::Symbol::fromQualString("aten::extend") ||
                       node->kind() == jit::aten::add_;
  const bool list = !args.empty() && args[0]->is(Value::Kind::kNode) && args[0]->type &&
                    args[0]->type->kind() == c10::TypeKind::ListType;
  if (!list || (!appends && !extends)) return false;
  const ValuePtr more =
      appends ? make_items(Value::Kind::kList, {args[1]}, args[0]->type) : args[1];
  const Callee sum = find_callee("aten::add.t");
  const ValuePtr result = emitter_.call(*sum.schema, {args[0], more}, {args[0]->type})[0];
  emitter_.become(args[0], result);
  if (!node->outputs().empty()) bind(node->output(), args[0]);
  return true;
}

namespace {

// Placeholders of these types, whose sizes stay open; what is not given has its default.
std::vector<ValuePtr> block_inputs(const c10::FunctionSchema& schema,
                                   const std::vector<Type>& inputs, Emitter& emitter) {
  std::vector<ValuePtr> values;
  for (size_t i = 1; i < schema.arguments().size(); ++i) {  // the first is self
    const c10::Argument& argument = schema.arguments()[i];
    if (i > inputs.size()) {
      TORCH_CHECK(argument.default_value(), "its input '", argument.name(), "' is missing");
      values.push_back(from_ivalue(*argument.default_value(), argument.type()));
      continue;
    }
    values.push_back(emitter.placeholder(argument.name(), argument.type()));
    if (!inputs[i - 1].is_tensor()) continue;
    Type& type = values.back()->node->type;
    type = inputs[i - 1];
    if (type.dims) type.dims->assign(type.dims->size(), Dim{});
  }
  return values;
}

absl::StatusOr<std::shared_ptr<BlockModule>> read_block(const OpaqueModule& block,
                                                        const std::vector<Type>& inputs,
                                                        const std::set<size_t>& owned) {
  static const auto* no_wraps = new WrapRegistry;
  static const auto* tracer = new Tracer;
  if (block.keeps_state()) return absl::UnimplementedError("its code keeps state");
  const jit::Module& module = block.script_module();
  GraphModule gm;
  ReaderOptions reading;
  reading.wraps = no_wraps;
  reading.tracer = tracer;
  reading.training = block.is_training();
  reading.open_blocks = true;
  ScriptReader reader(gm, module, reading);
  const c10::FunctionSchema& schema = module.get_method("forward").function().getSchema();
  if (inputs.size() + 1 > schema.arguments().size()) {
    return absl::UnimplementedError("it takes fewer inputs");
  }
  std::vector<ValuePtr> values = block_inputs(schema, inputs, reader.emitter());
  for (const size_t index : owned) values[index]->storage->external = false;
  ValuePtr result = reader.run_method(reader.root(), "forward", values);
  if (!reader.problems().empty()) {
    return absl::UnimplementedError(fmt::format("{}", fmt::join(reader.problems(), "; ")));
  }
  if (!owned.empty()) result = make_items(Value::Kind::kTuple, {result}, nullptr);
  for (const size_t index : owned) {
    const bool gone = values[index]->is(Value::Kind::kPoison);
    result->items.push_back(gone ? make_constant(c10::IValue()) : values[index]);
  }
  reader.emitter().output(result);
  remove_dead_nodes(gm);
  gm.guards = reader.guards();
  gm.train(reading.training);
  std::vector<GraphModule> bodies;
  bodies.push_back(std::move(gm));
  Type type = node_type(schema.returns()[0].type());
  if (!owned.empty()) {
    type = Type::tuple({type});
    type.elements.resize(1 + owned.size(), Type::tensor());
  }
  return std::make_shared<BlockModule>(BlockKind::kCode, std::move(bodies),
                                       std::vector<Type>{std::move(type)});
}

}  // namespace

std::set<size_t> written_inputs(const OpaqueModule& block) {
  const jit::Method forward = block.script_module().get_method("forward");
  std::set<size_t> inputs;
  const auto graph = jit::toGraphFunction(forward.function()).graph();
  for (const size_t index : tensor_writes(*graph)) {
    if (index > 0 && graph->inputs()[index]->type()->kind() == c10::TypeKind::TensorType) {
      inputs.insert(index - 1);  // the first is self
    }
  }
  return inputs;
}

absl::StatusOr<std::shared_ptr<BlockModule>> open_block(const OpaqueModule& block,
                                                        const std::vector<Type>& inputs,
                                                        const std::set<size_t>& owned) {
  try {
    return read_block(block, inputs, owned);
  } catch (const c10::Error& error) {
    return absl::UnimplementedError(error.what_without_backtrace());
  } catch (const std::exception& error) {
    return absl::UnimplementedError(error.what());
  }
}

}  // namespace fxq
