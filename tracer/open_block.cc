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

constexpr const char* kSeenElsewhere = "it changes a tensor in place that is seen elsewhere too";
constexpr const char* kGoesRoundShared =
    "what goes round in a loop changes in place, and is seen elsewhere too";

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
      note_memory(body, outputs);
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
    const std::vector<Node*> starts = nodes_of(inside);
    const std::vector<ValuePtr> entered = memory_of(inside);
    std::vector<ValuePtr> outputs = body.run(block);
    outputs.insert(outputs.end(), inside.end() - static_cast<int64_t>(written_.size()),
                   inside.end());
    const std::vector<ValuePtr> again(outputs.begin() + 1, outputs.end());
    if (is_read_apart(carried, starts) || is_read_apart(again, starts)) {
      return reader_.problem(node_, kGoesRoundShared);
    }
    note_memory(body, again);
    note_rounds(carried, again, entered);
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
    if (captured_.writes_items) {
      reader_.problem(node_, "a tensor that is inside a list or dict changes in place");
      return false;
    }
    for (const jit::Value* value : captured_.values) {
      const ValuePtr known = reader_.get(value);
      if (captured_.written.count(value) != 0 && !add_written(known)) return false;
    }
    for (const jit::Value* value : captured_.values) {
      captured_values_.push_back(reader_.get(value));
    }
    return written_are_read_as_such();
  }

  // The body knows the tensors that it writes into, and nothing about who shows them.
  bool written_are_read_as_such() {
    for (const ValuePtr& written : written_) {
      for (const ValuePtr& value : captured_values_) {
        if (!is_tensor(*written) || !shows(value, *written)) continue;
        reader_.problem(node_, kSeenElsewhere);
        return false;
      }
    }
    return true;
  }

  bool add_written(const ValuePtr& value) {
    if (std::find(written_.begin(), written_.end(), value) != written_.end()) return true;
    written_.push_back(value);
    if (!is_tensor(*value)) return as_node(value);
    if (reader_.emitter().can_rebind(*value)) return true;
    reader_.problem(node_, kSeenElsewhere);
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
      const bool read_inside =
          std::any_of(captured_values_.begin(), captured_values_.end(),
                      [&](const ValuePtr& read) { return changes_with(read, value); });
      const bool shared = is_tensor(*value) && !reader_.emitter().can_rebind(*value);
      if (!read_inside && !shared && !reader_.used_later(*value)) continue;
      reader_.problem(node_, kGoesRoundShared);
      return false;
    }
    return true;
  }

  bool is_written(size_t place, size_t count) const {
    return place + written_.size() >= count || captured_.own_written.count(place + 1) != 0;
  }

  // One of the values that go into a trip is written there, and one that shows it is read: for the
  // body they are two. `starts`: the body's placeholders for them.
  bool is_read_apart(const std::vector<ValuePtr>& values, const std::vector<Node*>& starts) const {
    for (size_t i = 0; i < values.size(); ++i) {
      for (size_t j = 0; is_written(i, values.size()) && j < values.size(); ++j) {
        const bool read = i != j && !starts[j]->users().empty();
        if (read && changes_with(values[j], values[i])) return true;
      }
    }
    return false;
  }

  static std::vector<Node*> nodes_of(const std::vector<ValuePtr>& values) {
    std::vector<Node*> nodes;
    for (const ValuePtr& value : values) nodes.push_back(value->node);
    return nodes;
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
    bind_results(all, types);
  }

  void bind_results(const ValuePtr& all, const std::vector<c10::TypePtr>& types) {
    const size_t own = node_->outputs().size();
    std::vector<ValuePtr> results;
    for (size_t i = 0; i < types.size(); ++i) {
      const ValuePtr part = reader_.emitter().getitem(all, static_cast<int64_t>(i), types[i]);
      results.push_back(make_node_value(part->node, part->type));
      results[i]->from_data = true;
    }
    for (const auto& [one, other] : alike_) merge_storage(results[one], results[other]);
    for (const auto& [result, value] : given_) merge_storage(results[result], value);
    for (size_t i = 0; i < own; ++i) reader_.bind(node_->outputs()[i], results[i]);
    for (size_t i = own; i < types.size(); ++i) {
      reader_.emitter().become(written_[i - own], results[i]);
    }
  }

  // The results that may show memory from outside, and each other's.
  void note_memory(OpenedBody& body, const std::vector<ValuePtr>& outputs) {
    for (size_t i = 0; i < outputs.size(); ++i) {
      for (size_t j = 0; j < i; ++j) {
        if (share_memory(outputs[i], outputs[j])) alike_.emplace_back(i, j);
      }
      for (const ValuePtr& value : captured_values_) {
        for_each_part(value, [&](const ValuePtr& part) {
          const bool written = std::find(written_.begin(), written_.end(), part) != written_.end();
          if (written || !share_memory(outputs[i], body.inside(part))) return;
          given_.emplace_back(i, part);
        });
      }
    }
  }

  // What went in may come out: after no trip, or at another place.
  void note_rounds(const std::vector<ValuePtr>& carried, const std::vector<ValuePtr>& outputs,
                   const std::vector<ValuePtr>& entered) {
    for (size_t i = 0; i < carried.size(); ++i) {
      for_each_part(carried[i], [&](const ValuePtr& part) { given_.emplace_back(i, part); });
      for (size_t j = 0; j < carried.size(); ++j) {
        if (i != j && share_memory(outputs[i], entered[j])) alike_.emplace_back(i, j);
      }
    }
  }

  // Values that keep the memory of others, which may become something else.
  static std::vector<ValuePtr> memory_of(const std::vector<ValuePtr>& values) {
    std::vector<ValuePtr> kept;
    for (const ValuePtr& value : values) {
      kept.push_back(make_node_value(value->node, value->type));
      merge_storage(kept.back(), value);
    }
    return kept;
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
  std::vector<std::pair<size_t, size_t>> alike_;    // results that share memory
  std::vector<std::pair<size_t, ValuePtr>> given_;  // results and what they were given
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

}  // namespace fxq
