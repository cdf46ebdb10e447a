// %3 : int = aten::add(%1, %2) with %1 = 1, %2 = 2    ->  %3 is the constant 3; no node
// %4 : Tensor = prim::CallMethod[name="forward"](%conv, %x)  ->  a node, or the method's code in
// place
#include "fxq/tracer/script_reader.h"

#include <ATen/core/function_schema.h>
#include <fmt/format.h>
#include <torch/csrc/jit/ir/constants.h>

namespace fxq {
namespace {

std::string file_name(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? path : path.substr(slash + 1);
}

bool is_inside(const torch::jit::Block* block, const torch::jit::Node* node) {
  for (; block && block->owningNode(); block = block->owningNode()->owningBlock()) {
    if (block->owningNode() == node) return true;
  }
  return false;
}

// Code above `now` in a loop runs again and may read what was made outside the loop.
bool loops_back(const torch::jit::Value* read, const torch::jit::Node* now) {
  for (const torch::jit::Node* loop = now->owningBlock()->owningNode(); loop;
       loop = loop->owningBlock()->owningNode()) {
    if (loop->kind() != torch::jit::prim::Loop) continue;
    if (!is_inside(read->node()->owningBlock(), loop)) return true;
  }
  return false;
}

}  // namespace

ScriptReader::ScriptReader(GraphModule& gm, const torch::jit::Module& root, ReaderOptions options)
    : gm_(gm), script_(root), options_(std::move(options)), emitter_(gm) {
  emitter_.used_later = [this](const Value& value) { return used_later(value); };
  root_ = module_value(root, "");
}

ValuePtr ScriptReader::run_graph(const torch::jit::Graph& graph, const std::vector<ValuePtr>& args,
                                 const Owner& owner, bool library) {
  Frame next;
  next.library = library && !frames_.empty();
  next.site = Site{next.library ? frame().site.source : "", owner};
  next.call_source = next.site.source;
  frames_.push_back(std::move(next));
  for (size_t i = 0; i < graph.inputs().size(); ++i) {
    bind(graph.inputs()[i], i < args.size() ? args[i] : make_constant(c10::IValue()));
  }
  run_block(graph.block());
  ValuePtr result =
      graph.outputs().empty() ? make_constant(c10::IValue()) : get(graph.outputs()[0]);
  frames_.pop_back();
  if (!frames_.empty()) emitter_.site = frame().site;
  return result;
}

void ScriptReader::run_block(const JitBlock* block) {
  for (const JitNode* node : block->nodes()) step(node);
}

const ValuePtr& ScriptReader::get(const JitValue* value) {
  ValuePtr& known = frame().values[value];
  if (!known) known = make_poison("a value that no captured code computes");
  return known;
}

std::vector<ValuePtr> ScriptReader::inputs(const JitNode* node) {
  std::vector<ValuePtr> values;
  for (const JitValue* input : node->inputs()) values.push_back(get(input));
  return values;
}

std::string ScriptReader::source_of(const JitNode* node) const {
  // A loaded file's own ranges point into its archive; what they came from is the Python line.
  const auto range = node->sourceRange().findSourceRangeThatGenerated();
  const auto location = range ? range->file_line_col() : node->sourceRange().file_line_col();
  if (!location || std::get<0>(*location).empty()) return "";
  return fmt::format("{}:{}", file_name(std::get<0>(*location)), std::get<1>(*location));
}

// The user's own line also while torch's code is read.
std::string ScriptReader::line_of(const JitNode* node) const {
  const Frame& here = frames_.back();
  const std::string own = here.library && !here.call_source.empty() ? "" : source_of(node);
  return own.empty() ? here.site.source : own;
}

void ScriptReader::problem(const JitNode* node, const std::string& what) {
  const std::string where = line_of(node);
  const Owner& owner = frame().site.owner;
  std::string text = where.empty() ? what : fmt::format("{}: {}", where, what);
  if (!owner.path.empty()) text += fmt::format(" (in {}, a {})", owner.path, owner.class_name);
  if (std::find(problems_.begin(), problems_.end(), text) == problems_.end()) {
    problems_.push_back(std::move(text));
  }
  poison_outputs(node);
}

void ScriptReader::poison_outputs(const JitNode* node) {
  for (const JitValue* output : node->outputs()) bind(output, make_poison());
}

void ScriptReader::step(const JitNode* node) {
  Frame& here = frame();
  here.current = node;
  if (!here.library || here.call_source.empty()) here.site.source = source_of(node);
  emitter_.site = here.site;
  const bool branches = node->kind() == torch::jit::prim::If ||
                        node->kind() == torch::jit::prim::Loop ||
                        node->kind() == torch::jit::prim::RaiseException;
  if (!branches) {
    for (const JitValue* read : node->inputs()) {
      const ValuePtr& input = get(read);
      if (!input->is(Value::Kind::kPoison)) continue;
      if (input->reason.empty()) return poison_outputs(node);
      const std::string reason = input->reason;
      input->reason.clear();
      return problem(node, reason);
    }
  }
  try {
    dispatch(node);
  } catch (const c10::Error& error) {
    problem(node,
            fmt::format("{}: {}", node->kind().toDisplayString(), error.what_without_backtrace()));
  }
}

void ScriptReader::dispatch(const JitNode* node) {
  namespace prim = torch::jit::prim;
  using Step = void (ScriptReader::*)(const JitNode*);
  static const auto* steps = new std::unordered_map<c10::Symbol, Step>{
      {prim::GetAttr, &ScriptReader::get_attribute},
      {prim::SetAttr, &ScriptReader::set_attribute},
      {c10::Symbol::fromQualString(kModuleIndex), &ScriptReader::choose_module},
      {prim::CallMethod, &ScriptReader::call_method},
      {prim::CallFunction, &ScriptReader::call_function},
      {prim::If, &ScriptReader::run_if},
      {prim::Loop, &ScriptReader::run_loop},
      {prim::Constant, &ScriptReader::construct},
      {prim::ListConstruct, &ScriptReader::construct},
      {prim::TupleConstruct, &ScriptReader::construct},
      {prim::DictConstruct, &ScriptReader::construct},
      {prim::CreateObject, &ScriptReader::construct},
      {prim::Uninitialized, &ScriptReader::construct},
      {prim::ListUnpack, &ScriptReader::unpack},
      {prim::TupleUnpack, &ScriptReader::unpack},
      {prim::TupleIndex, &ScriptReader::unpack},
      {prim::TupleSlice, &ScriptReader::unpack},
      {prim::RaiseException, &ScriptReader::raise},
      {prim::fork, &ScriptReader::fork},
  };
  const auto found = steps->find(node->kind());
  if (found != steps->end()) return (this->*found->second)(node);
  call_operator(node);
}

// A value is alive if code after the current node of some open function reads it, directly or
// through a container.
bool ScriptReader::used_later(const Value& value, const Value* not_through) const {
  const std::function<bool(const ValuePtr&)> holds = [&](const ValuePtr& holder) {
    if (!holder || holder.get() == not_through) return false;
    if (holder.get() == &value) return true;
    const auto any = [&](const std::vector<ValuePtr>& parts) {
      return std::any_of(parts.begin(), parts.end(), holds);
    };
    return any(holder->items) || any(holder->keys) ||
           std::any_of(holder->fields.begin(), holder->fields.end(),
                       [&](const auto& field) { return holds(field.second); });
  };
  const auto reads_later = [](const JitValue* read, const JitNode* now) {
    for (const torch::jit::Use& use : read->uses()) {
      if (use.user == now) continue;
      if (use.user->kind() == torch::jit::prim::Return || use.user->isAfter(now)) return true;
      if (loops_back(read, now)) return true;
    }
    return false;
  };
  for (const Frame& open : frames_) {
    for (const auto& [name, bound] : open.values) {
      if (bound && holds(bound) && reads_later(name, open.current)) return true;
    }
  }
  return false;
}

}  // namespace fxq
