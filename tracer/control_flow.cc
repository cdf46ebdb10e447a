// A known condition takes its branch; a branch that only raises becomes a guard; a condition on
// shapes is decided by the example, and guarded; anything else stays TorchScript code behind one
// node (opaque_block.cc). Guards on shapes are nodes that check; others are lines of text.
#include <fmt/format.h>

#include "fxq/graph/guard_text.h"
#include "fxq/tracer/example_runner.h"
#include "fxq/tracer/script_reader.h"

namespace fxq {
namespace {

namespace prim = torch::jit::prim;

// More than any model unrolls; an endless loop must end in a message.
constexpr int64_t kMostTrips = 100000;

const torch::jit::Node* raise_in(const torch::jit::Block* block) {
  for (const torch::jit::Node* node : block->nodes()) {
    if (node->kind() == prim::RaiseException) return node;
  }
  return nullptr;
}

// The text that a raise gives, if it stands in the code as a constant.
std::string raised_text(const torch::jit::Node* raise) {
  for (const torch::jit::Value* input : raise->inputs()) {
    const torch::jit::Node* source = input->node();
    if (source->kind().toQualString() == std::string("aten::format"))
      source = source->input(0)->node();
    const bool text = source->kind() == prim::Constant &&
                      source->hasAttribute(torch::jit::attr::value) &&
                      source->kindOf(torch::jit::attr::value) == torch::jit::AttributeKind::s;
    if (text) return source->s(torch::jit::attr::value);
  }
  return "";
}

bool is_number(const Type& type) {
  return type.kind == Type::Kind::kInt || type.kind == Type::Kind::kBool;
}

// Only sizes, numbers that the caller gives, and what numbers make of them: the answer is known
// before anything is computed.
bool is_shape_question(const Node* node) {
  if (node->is(NodeKind::kPlaceholder)) return is_number(node->type);
  const OpDef& def = op_def(node->op());
  if (def.rule != Rule::kNotTensor || def.kernel.empty()) return false;
  if (node->op() == OpId::kSize || node->op() == OpId::kSizes) return true;
  return !node->inputs().empty() &&
         std::all_of(node->inputs().begin(), node->inputs().end(), is_shape_question);
}

std::string shown(const c10::IValue& value) {
  if (value.isBool()) return value.toBool() ? "true" : "false";
  if (value.isString()) return fmt::format("\"{}\"", value.toStringRef());
  return value.isInt() ? std::to_string(value.toInt()) : "?";
}

}  // namespace

void ScriptReader::guard(const std::string& text) {
  if (guarded_.insert(text).second) guards_.push_back(text);
}

void ScriptReader::guard(const std::string& text, const ValuePtr& value, const c10::IValue& holds) {
  if (!is_shape_question(value->node)) return guard(text);
  if (!guarded_.insert(text + value->node->name()).second) return;
  ValuePtr condition = value;
  if (holds.isInt()) condition = emitter_.call("aten::eq.int", {value, make_constant(holds)});
  if (holds.isBool() && !holds.toBool()) condition = emitter_.call("aten::__not__", {value});
  emitter_.guard(condition, text);
}

c10::optional<c10::IValue> ScriptReader::decide(const JitNode* node, const ValuePtr& value) {
  if (value->is(Value::Kind::kConstant)) return value->constant;
  const bool can_run = options_.example && value->is(Value::Kind::kNode) && !value->from_data;
  if (!can_run) return c10::nullopt;
  auto seen = options_.example->value_of(value->node);
  TORCH_CHECK(seen.ok(), "the example inputs don't run: ", std::string(seen.status().message()));
  guard(fmt::format("{}: %{} is {}, as for the example inputs", line_of(node), value->node->name(),
                    shown(*seen)),
        value, *seen);
  return *std::move(seen);
}

void ScriptReader::take_branch(const JitNode* node, bool condition) {
  const JitBlock* block = node->blocks()[condition ? 0 : 1];
  run_block(block);
  for (size_t i = 0; i < node->outputs().size(); ++i) {
    bind(node->outputs()[i], get(block->outputs()[i]));
  }
}

bool ScriptReader::guard_raise(const JitNode* node) {
  const JitNode* first = raise_in(node->blocks()[0]);
  const JitNode* second = raise_in(node->blocks()[1]);
  if ((first == nullptr) == (second == nullptr)) return false;
  std::string text = raised_text(first ? first : second);
  if (text.empty()) text = "an exception";
  text = assert_text(line_of(node), text);
  const ValuePtr condition = get(node->input());
  if (condition->is(Value::Kind::kNode)) {
    guard(text, condition, first == nullptr);
  } else {
    guard(text);
  }
  take_branch(node, first == nullptr);
  return true;
}

void ScriptReader::run_if(const JitNode* node) {
  const ValuePtr condition = get(node->input());
  if (condition->is(Value::Kind::kPoison)) {
    if (condition->reason.empty()) return poison_outputs(node);
    return problem(node, condition->reason);
  }
  if (condition->is(Value::Kind::kConstant)) {
    return take_branch(node, condition->constant.toBool());
  }
  if (guard_raise(node)) return;
  if (const auto known = decide(node, condition)) return take_branch(node, known->toBool());
  if (options_.open_blocks) return open_if(node);
  run_opaque(node, {}, 0);
}

void ScriptReader::run_loop(const JitNode* node) {
  const JitBlock* body = node->blocks()[0];
  std::vector<ValuePtr> state = inputs(node);  // trip count, condition, carried values
  for (const ValuePtr& part : state) {
    if (part->is(Value::Kind::kPoison)) return poison_outputs(node);
  }
  for (int64_t trip = 0;; ++trip) {
    const auto limit = decide(node, state[0]);
    const auto go_on = limit ? decide(node, state[1]) : c10::nullopt;
    if (!limit || !go_on) {
      return options_.open_blocks ? open_loop(node, state, trip) : run_opaque(node, state, trip);
    }
    if (!go_on->toBool() || trip >= limit->toInt()) break;
    if (trip >= kMostTrips) {
      return problem(node, fmt::format("a loop runs more than {} times", kMostTrips));
    }
    bind(body->inputs()[0], make_constant(trip, c10::IntType::get()));
    for (size_t i = 1; i < body->inputs().size(); ++i) bind(body->inputs()[i], state[i + 1]);
    run_block(body);
    state[1] = get(body->outputs()[0]);
    if (state[1]->is(Value::Kind::kPoison)) return poison_outputs(node);
    for (size_t i = 1; i < body->outputs().size(); ++i) state[i + 1] = get(body->outputs()[i]);
  }
  for (size_t i = 0; i < node->outputs().size(); ++i) bind(node->outputs()[i], state[i + 2]);
}

void ScriptReader::raise(const JitNode* node) {
  std::string text = raised_text(node);
  problem(node, text.empty() ? "the code always raises here" : "the code raises: " + text);
}

}  // namespace fxq
