// if bool(x.mean() > 0): y = self.f(x) else: y = x    ->    %opaque_if = @opaque_if(%x, %f_weight,
// ...) The code goes into a TorchScript graph of its own: what it reads from outside becomes its
// inputs, the tensors of modules too, so that they stay visible and trainable in the GraphModule.
#include <fmt/format.h>
#include <torch/csrc/jit/frontend/canonicalize_modified_loop.h>
#include <torch/csrc/jit/passes/dead_code_elimination.h>
#include <torch/csrc/jit/passes/inliner.h>

#include <limits>

#include "fxq/graph/opaque_module.h"
#include "fxq/tracer/attribute_writes.h"
#include "fxq/tracer/block_writes.h"
#include "fxq/tracer/script_reader.h"

namespace fxq {

namespace jit = torch::jit;
namespace prim = torch::jit::prim;

namespace {

// TorchScript's maximum of trips where there is none.
constexpr int64_t kEndless = std::numeric_limits<int64_t>::max();

bool is_object(const Value& value) {
  return value.is(Value::Kind::kModule) || value.is(Value::Kind::kObject);
}

}  // namespace

// Moves one If or Loop, or a whole function, into a graph without modules.
class BlockBuilder {
 public:
  explicit BlockBuilder(ScriptReader& reader)
      : reader_(reader), graph_(std::make_shared<jit::Graph>()) {}
  BlockBuilder(ScriptReader& reader, std::shared_ptr<jit::Graph> graph, std::vector<ValuePtr> args)
      : reader_(reader), graph_(std::move(graph)), args_(std::move(args)) {}

  jit::Value* outside(jit::Value* value) {
    const bool is_literal =
        value->node()->kind() == prim::Constant || value->node()->kind() == prim::Uninitialized;
    if (is_literal) {
      jit::Node* copy = graph_->createClone(value->node(), [](jit::Value* v) { return v; });
      return graph_->insertNode(copy)->output();
    }
    return input(reader_.get(value), value->type());
  }

  // A value of the reader inside the graph: a constant or an input, made once.
  jit::Value* input(const ValuePtr& value, const c10::TypePtr& type) {
    jit::Value*& known = inputs_[value.get()];
    if (known) return known;
    const bool container = value->is(Value::Kind::kList) || value->is(Value::Kind::kDict);
    if (is_plain_constant(*value) && !container) {
      const c10::IValue constant = *to_ivalue(*value);
      const bool unset = constant.isNone() && !c10::NoneType::get()->isSubtypeOf(*type);
      known = unset ? graph_->insertNode(graph_->createUninitialized(type))->output()
                    : graph_->insertConstant(constant);
      return known;
    }
    known = graph_->addInput();
    known->setType(value->is(Value::Kind::kModule) && value->type ? value->type : type);
    args_.push_back(value);
    return known;
  }

  void copy_node(const jit::Node* node, const std::vector<ValuePtr>& state, int64_t first_trip) {
    auto* original = const_cast<jit::Node*>(node);
    jit::Node* copy = graph_->createClone(original, [this](jit::Value* v) { return outside(v); });
    for (size_t i = 0; i < state.size(); ++i) {
      copy->replaceInput(i, input(state[i], node->inputs()[i]->type()));
    }
    graph_->insertNode(copy);
    if (first_trip > 0) shift_trips(copy, first_trip);
    if (copy->outputs().size() == 1) {
      graph_->registerOutput(copy->output());
      return;
    }
    graph_->registerOutput(graph_->insertNode(graph_->createTuple(copy->outputs()))->output());
  }

  // Reads attributes of modules and objects now; false if the code keeps hold of one.
  bool lift_objects(std::string* why) {
    for (size_t i = 0; i < args_.size(); ++i) {
      if (is_object(*args_[i])) objects_[graph_->inputs()[i]] = args_[i];
    }
    inline_calls();
    find_objects(graph_->block());
    lift_writes();
    lift(graph_->block());
    for (auto it = reads_.rbegin(); it != reads_.rend(); ++it) {
      if ((*it)->output()->hasUses()) {
        *why = fmt::format(
            "it uses the module '{}' other than by reading attributes and calling "
            "methods",
            objects_.at((*it)->output())->path);
        return false;
      }
      (*it)->destroy();
    }
    const BlockWrites writes = container_writes(*graph_);
    for (const size_t index : writes.items) {
      if (!has_held_parts(args_[index])) continue;
      *why = "it changes a list or dict that is inside another and that other code still holds";
      return false;
    }
    return_written(writes);
    jit::CanonicalizeModifiedLoops(graph_);
    jit::EliminateDeadCode(graph_);
    drop_unused_inputs();
    for (size_t i = 0; i < args_.size(); ++i) {
      if (!is_object(*args_[i])) continue;
      *why =
          fmt::format("it uses an object ({}) other than by reading attributes and calling methods",
                      args_[i]->path);
      return false;
    }
    return true;
  }

  // Containers from outside that the code changes. If there are any, the graph returns
  // (result, container, ...).
  const std::vector<ValuePtr>& written() const { return written_; }

  // Attributes that it sets; they follow.
  struct AttributeAfter {
    ValuePtr object;
    std::string name;
    jit::Value* after;
  };
  const std::vector<AttributeAfter>& attributes() const { return attributes_; }

  const std::shared_ptr<jit::Graph>& graph() const { return graph_; }
  const std::vector<ValuePtr>& args() const { return args_; }

 private:
  // The first trips are already unrolled: max - k remain and the counter starts at k. A `while` has
  // no maximum, and must keep the number that says so: TorchScript can't write other loops down.
  void shift_trips(jit::Node* loop, int64_t first_trip) {
    jit::WithInsertPoint before(loop);
    jit::Value* done = graph_->insertConstant(first_trip);
    if (const auto most = jit::toIValue(loop->inputs()[0]); !most || most->toInt() != kEndless) {
      jit::Node* left = graph_->create(jit::aten::sub, {loop->inputs()[0], done});
      left->output()->setType(c10::IntType::get());
      loop->replaceInput(0, graph_->insertNode(left)->output());
    }
    jit::Block* body = loop->blocks()[0];
    jit::WithInsertPoint inside(*body->nodes().begin());
    jit::Node* shifted = graph_->create(jit::aten::add, {body->inputs()[0], done});
    shifted->output()->setType(c10::IntType::get());
    body->inputs()[0]->replaceAllUsesWith(shifted->output());
    graph_->insertNode(shifted);
    shifted->replaceInput(0, body->inputs()[0]);
  }

  // A round does not reach calls inside of what it inlines unless LibTorch's optimizer is on.
  // Recursive calls stay.
  void inline_calls() {
    constexpr int kDeepest = 32;
    for (int round = 0; round < kDeepest && has_calls(graph_->block()); ++round) {
      name_modules(graph_->block());
      jit::Inline(*graph_);
    }
  }

  // Interfaces become the classes of the modules that are there: calls of those can be read.
  void name_modules(jit::Block* block) {
    for (auto it = block->nodes().begin(); it != block->nodes().end();) {
      jit::Node* node = *it++;
      for (jit::Block* inner : node->blocks()) name_modules(inner);
      node = as_attribute(node);
      const ValuePtr module = node->kind() == prim::GetAttr ? module_read_by(node) : nullptr;
      if (!module) continue;
      objects_[node->output()] = module;
      node->output()->setType(module->type);
    }
  }

  // self.layers[0] -> self.layers.0
  jit::Node* as_attribute(jit::Node* node) {
    if (node->kind() != c10::Symbol::fromQualString(kModuleIndex)) return node;
    const auto key = jit::toIValue(node->input(1));
    if (!key || objects_.count(node->input(0)) == 0) return node;
    jit::WithInsertPoint before(node);
    jit::Value* read = graph_->insertGetAttr(node->input(0), module_name(*key));
    node->output()->replaceAllUsesWith(read);
    node->destroy();
    return read->node();
  }

  ValuePtr module_read_by(const jit::Node* node) {
    const auto object = objects_.find(node->input());
    if (object == objects_.end() || !object->second->is(Value::Kind::kModule)) return nullptr;
    const std::string& name = node->s(jit::attr::name);
    if (!object->second->constant.toModule().attr(name).isModule()) return nullptr;
    return reader_.read_attribute(object->second, name);
  }

  static bool has_calls(jit::Block* block) {
    for (jit::Node* node : block->nodes()) {
      if (node->kind() == prim::CallMethod || node->kind() == prim::CallFunction) return true;
      for (jit::Block* inner : node->blocks()) {
        if (has_calls(inner)) return true;
      }
    }
    return false;
  }

  void find_objects(jit::Block* block) {
    for (jit::Node* node : block->nodes()) {
      for (jit::Block* inner : node->blocks()) find_objects(inner);
      if (node->kind() != prim::GetAttr ||
          node->output()->type()->kind() != c10::TypeKind::ClassType) {
        continue;
      }
      const auto object = objects_.find(node->input());
      if (object == objects_.end()) continue;
      const ValuePtr value = reader_.read_attribute(object->second, node->s(jit::attr::name));
      if (is_object(*value)) objects_[node->output()] = value;
    }
  }

  // Attributes that the code sets, of modules and objects that are known.
  void lift_writes() {
    const auto object_of = [this](const jit::Value* value) -> const void* {
      const auto known = objects_.find(value);
      return known != objects_.end() ? known->second.get() : nullptr;
    };
    AttributeWrites writes(object_of);
    const auto found = writes.run(*graph_, [this](const jit::Node* set) {
      const ValuePtr& object = objects_.at(set->inputs()[0]);
      const std::string& name = set->s(jit::attr::name);
      const c10::TypePtr type = object->type->expectRef<c10::ClassType>().getAttribute(name);
      attributes_.push_back({object, name, nullptr});
      jit::WithInsertPoint at_start(*graph_->block()->nodes().begin());
      return input(reader_.read_attribute(object, name), type);
    });
    for (size_t i = 0; i < found.size(); ++i) attributes_[i].after = found[i].after;
  }

  void lift(jit::Block* block) {
    for (jit::Node* node : block->nodes()) {
      for (jit::Block* inner : node->blocks()) lift(inner);
      if (node->kind() != prim::GetAttr) continue;
      const auto object = objects_.find(node->input());
      if (object == objects_.end()) continue;
      const ValuePtr value = reader_.read_attribute(object->second, node->s(jit::attr::name));
      reads_.push_back(node);
      if (is_object(*value)) {
        objects_[node->output()] = value;
        continue;
      }
      jit::WithInsertPoint at_start(*graph_->block()->nodes().begin());
      node->output()->replaceAllUsesWith(input(value, node->output()->type()));
    }
  }

  void return_written(const BlockWrites& writes) {
    if (writes.inputs.empty() && attributes_.empty()) return;
    std::vector<jit::Value*> all = {graph_->outputs()[0]};
    for (const size_t index : writes.inputs) {
      all.push_back(graph_->inputs()[index]);
      written_.push_back(args_[index]);
    }
    for (const AttributeAfter& each : attributes_) all.push_back(each.after);
    graph_->eraseOutput(0);
    graph_->registerOutput(graph_->insertNode(graph_->createTuple(all))->output());
  }

  // Lists and dicts inside a known container that code to come reads on their own.
  bool has_held_parts(const ValuePtr& container) const {
    bool held = false;
    for_each_part(container, [&](const ValuePtr& part) {
      const bool inner =
          part != container && (part->is(Value::Kind::kList) || part->is(Value::Kind::kDict));
      held |= inner && reader_.used_later(*part, container.get());
    });
    return held;
  }

  void drop_unused_inputs() {
    for (size_t i = args_.size(); i-- > 0;) {
      if (graph_->inputs()[i]->hasUses()) continue;
      graph_->eraseInput(i);
      args_.erase(args_.begin() + static_cast<int64_t>(i));
    }
  }

  ScriptReader& reader_;
  std::shared_ptr<jit::Graph> graph_;
  std::vector<ValuePtr> args_;
  std::unordered_map<const Value*, jit::Value*> inputs_;
  std::unordered_map<const jit::Value*, ValuePtr> objects_;
  std::vector<jit::Node*> reads_;
  std::vector<ValuePtr> written_;
  std::vector<AttributeAfter> attributes_;
};

void ScriptReader::run_opaque(const JitNode* node, const std::vector<ValuePtr>& loop_state,
                              int64_t first_trip) {
  const bool loop = node->kind() == prim::Loop;
  BlockBuilder builder(*this);
  builder.copy_node(node, loop_state, first_trip);
  const ValuePtr all = finish_opaque(builder, loop ? "loop" : "if", node);
  if (!all) return;
  if (node->outputs().size() == 1) return bind(node->output(), all);
  for (size_t i = 0; i < node->outputs().size(); ++i) {
    const JitValue* output = node->outputs()[i];
    if (!output->hasUses()) continue;
    bind(output, emitter_.getitem(all, static_cast<int64_t>(i), output->type()));
  }
}

ValuePtr ScriptReader::call_opaque_graph(std::shared_ptr<torch::jit::Graph> graph,
                                         std::vector<ValuePtr> args, const std::string& name,
                                         const JitNode* node) {
  BlockBuilder builder(*this, std::move(graph), std::move(args));
  const ValuePtr result = finish_opaque(builder, name, node);
  return result ? result : make_poison();
}

ValuePtr ScriptReader::finish_opaque(BlockBuilder& builder, const std::string& name,
                                     const JitNode* node) {
  std::string why;
  if (!builder.lift_objects(&why)) {
    problem(node,
            fmt::format("this part depends on data or sizes and can't be kept as TorchScript: "
                        "{}; if on sizes, example inputs decide it",
                        why));
    return nullptr;
  }
  ++opaque_blocks_;
  auto module = std::make_shared<OpaqueModule>(builder.graph(), line_of(node));
  module->eval();
  const std::string path = gm_.unique_path("opaque_" + name);
  gm_.set_module(path, std::move(module));
  const c10::TypePtr type = builder.graph()->outputs()[0]->type();
  ValuePtr result = emitter_.call_module(path, builder.args(), type);
  result->from_data = true;
  for (const ValuePtr& arg : builder.args()) {  // it may return what it was given
    for_each_part(arg, [&](const ValuePtr& part) { merge_storage(result, part); });
  }
  if (builder.written().empty() && builder.attributes().empty()) return result;
  for (const ValuePtr& container : builder.written()) {
    if (container->is_state) change_state(node, container);
  }
  for (size_t i = 0; i < builder.written().size(); ++i) {
    const ValuePtr& container = builder.written()[i];
    const auto index = static_cast<int64_t>(i) + 1;
    emitter_.become(container, emitter_.getitem(result, index, type->containedTypes()[i + 1]));
  }
  size_t index = builder.written().size();
  for (const auto& [object, name, after] : builder.attributes()) {
    ++index;
    set_attribute(
        object, name,
        emitter_.getitem(result, static_cast<int64_t>(index), type->containedTypes()[index]));
  }
  return emitter_.getitem(result, 0, type->containedTypes()[0]);
}

}  // namespace fxq
