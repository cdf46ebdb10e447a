// Plan: step i writes slot i; every argument is a slot or a prebuilt constant; a slot is cleared
// after its last reader.
#include "fxq/graph/interpreter.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/add.h>
#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "fxq/base/status.h"
#include "fxq/graph/ivalue_convert.h"
#include "fxq/graph/leaf_module.h"
#include "fxq/graph/naming.h"
#include "fxq/graph/plan_argument.h"
#include "fxq/graph/verifier.h"

namespace fxq {
namespace {

using Values = std::vector<c10::IValue>;

c10::TypePtr positional_type(const Node& node, size_t index) {
  if (!node.is(NodeKind::kCallFunction) || !node.schema()) return nullptr;
  const auto& arguments = node.schema()->arguments();
  return index < arguments.size() ? arguments[index].type() : nullptr;
}

c10::TypePtr keyword_type(const Node& node, const std::string& key) {
  if (!node.is(NodeKind::kCallFunction) || !node.schema()) return nullptr;
  for (const c10::Argument& argument : node.schema()->arguments()) {
    if (argument.name() == key) return argument.type();
  }
  return nullptr;
}

bool is_epilogue(std::string_view key) { return key == kEpilogueAdd || key == kEpilogueActivation; }

std::string where(const Node& node) {
  std::string text = fmt::format("%{} ({} {})", node.name(), kind_name(node.kind()), node.target());
  if (!node.owner.path.empty()) text += fmt::format(" in module '{}'", node.owner.path);
  if (!node.source.empty()) text += " at " + node.source;
  return text;
}

// LibTorch's messages end in a C++ backtrace that helps nobody.
std::string first_lines(const std::string& message) {
  const size_t trace = message.find("\nException raised from");
  return message.substr(0, trace);
}

// An operator's call, looked up and arranged once: where keyword arguments stand in the schema,
// what fills the gaps, which arguments are the mode.
class PlannedCall {
 public:
  explicit PlannedCall(const Node& node) : node_(node) {
    const auto& declared = node.schema()->arguments();
    for (const c10::Argument& argument : declared) defaults_.push_back(argument.default_value());
    for (const auto& kwarg : node.kwargs()) {
      const std::string& key = kwarg.first;
      const auto at = std::find_if(declared.begin(), declared.end(),
                                   [&](const auto& argument) { return argument.name() == key; });
      places_.push_back(static_cast<size_t>(at - declared.begin()));  // past the end: an epilogue's
    }
    for (size_t i = 0; node.follows_mode && i < declared.size(); ++i) {
      if (is_mode_argument(declared[i].name())) modes_.push_back(i);
    }
    if (!is_own(*node.schema())) {
      operator_ = c10::Dispatcher::singleton().findSchema(node.schema()->operator_name());
    }
  }

  size_t width() const { return defaults_.size(); }

  absl::StatusOr<c10::IValue> run(Values stack, const Values& kwargs, bool training) const {
    FXQ_RETURN_IF_ERROR(fill(stack, kwargs));
    for (size_t mode : modes_) stack[mode] = training;
    if (!operator_) return call_schema(*node_.schema(), std::move(stack));
    operator_->callBoxed(&stack);
    if (stack.size() == 1) return std::move(stack[0]);
    if (stack.empty()) return c10::IValue();
    return c10::IValue(c10::ivalue::Tuple::create(std::move(stack)));
  }

 private:
  // Keyword arguments at their places of the schema; gaps get defaults.
  absl::Status fill(Values& stack, const Values& kwargs) const {
    for (size_t i = stack.size(); i < defaults_.size(); ++i) {
      const auto given = std::find(places_.begin(), places_.end(), i);
      if (given != places_.end()) {
        stack.push_back(kwargs[static_cast<size_t>(given - places_.begin())]);
      } else if (defaults_[i]) {
        stack.push_back(*defaults_[i]);
      } else {
        if (node_.schema()->is_vararg()) break;
        return absl::InvalidArgumentError(fmt::format("{} needs an argument '{}'", node_.target(),
                                                      node_.schema()->arguments()[i].name()));
      }
    }
    return absl::OkStatus();
  }

  const Node& node_;
  std::vector<c10::optional<c10::IValue>> defaults_;
  std::vector<size_t> places_;  // of the node's kwargs in the schema
  std::vector<size_t> modes_;
  c10::optional<c10::OperatorHandle> operator_;
};

absl::StatusOr<c10::IValue> call_method_on(const Node& node, Values args) {
  if (args.empty() || !(args[0].isObject() || args[0].isModule())) {
    return absl::InvalidArgumentError("call_method needs an object as its first argument");
  }
  return args[0].toModule().get_method(node.target())(Values(args.begin() + 1, args.end()));
}

absl::StatusOr<c10::IValue> apply_epilogue(const Node& node, c10::IValue value,
                                           const Values& kwargs) {
  for (size_t i = 0; i < kwargs.size(); ++i) {
    if (node.kwargs()[i].first == kEpilogueAdd) {
      value = at::add(value.toTensor(), kwargs[i].toTensor());
    }
  }
  const OpId activation = node.epilogue_activation();
  if (activation == OpId::kNone) return value;
  return call_schema(*canonical_schema(activation), {std::move(value)});
}

}  // namespace

struct Interpreter::Plan {
  struct Step {
    const Node* node;
    std::vector<PlanArgument> args;
    std::vector<PlanArgument> kwargs;
    std::vector<int> dead;            // slots whose last reader this is
    std::optional<PlannedCall> call;  // of a function that LibTorch knows

    // Of an operator's whole stack, so that defaults find room.
    size_t width() const { return std::max(args.size(), call ? call->width() : 0); }
  };
  std::vector<Step> steps;
  SlotMap slots;
  absl::Status status;
};

Interpreter::Interpreter(const GraphModule& gm) : gm_(gm), plan_(new Plan) {
  SlotMap& slots = plan_->slots;
  std::unordered_map<const Node*, size_t> last_use;
  try {
    for (const Node* node : gm.graph().nodes()) {
      const size_t index = plan_->steps.size();
      Plan::Step step{node, {}, {}, {}, {}};
      if (node->is(NodeKind::kCallFunction) && node->schema()) step.call.emplace(*node);
      for (size_t i = 0; i < node->args().size(); ++i) {
        step.args.emplace_back(node->args()[i], positional_type(*node, i), slots);
      }
      for (const auto& [key, value] : node->kwargs()) {
        step.kwargs.emplace_back(value, is_epilogue(key) ? nullptr : keyword_type(*node, key),
                                 slots);
      }
      for (const Node* input : node->inputs()) last_use[input] = index;
      slots[node] = static_cast<int>(index);
      plan_->steps.push_back(std::move(step));
    }
  } catch (const std::exception& error) {
    plan_->status = verify(gm);  // says more
    if (plan_->status.ok()) {
      plan_->status = absl::InvalidArgumentError(first_lines(error.what()));
    }
  }
  for (const auto& [node, index] : last_use) plan_->steps[index].dead.push_back(slots.at(node));
}

Interpreter::~Interpreter() = default;

absl::StatusOr<c10::IValue> Interpreter::run_node(const Node& node, Values args, Values kwargs) {
  absl::StatusOr<c10::IValue> result = absl::InternalError("not a call");
  if (node.is(NodeKind::kCallModule)) {
    const auto module = gm_.module(node.target());
    if (!module) return absl::NotFoundError("there is no module '" + node.target() + "'");
    result = module->call("forward", std::move(args));
  } else if (node.is(NodeKind::kCallMethod)) {
    result = call_method_on(node, std::move(args));
  } else {
    const auto& call = plan_->steps[static_cast<size_t>(plan_->slots.at(&node))].call;
    if (!call) return absl::NotFoundError("LibTorch has no operator " + node.target());
    result = call->run(std::move(args), kwargs, gm_.is_training());
  }
  if (!result.ok() || kwargs.empty()) return result;
  return apply_epilogue(node, *std::move(result), kwargs);
}

absl::Status Interpreter::on_value(const Node&, c10::IValue&) { return absl::OkStatus(); }

absl::StatusOr<c10::IValue> Interpreter::run(Values inputs) {
  if (!plan_->status.ok()) return plan_->status;
  const size_t expected = gm_.graph().placeholders().size();
  if (inputs.size() != expected) {
    return absl::InvalidArgumentError(
        fmt::format("the graph has {} inputs and got {}", expected, inputs.size()));
  }
  Values slots(plan_->steps.size());
  size_t next_input = 0;
  for (size_t i = 0; i < plan_->steps.size(); ++i) {
    const Plan::Step& step = plan_->steps[i];
    absl::Status status;
    try {
      auto evaluate = [&](const std::vector<PlanArgument>& arguments, size_t room) {
        Values values;
        values.reserve(room);
        for (const PlanArgument& argument : arguments) values.push_back(argument.evaluate(slots));
        return values;
      };
      if (step.node->is(NodeKind::kOutput)) return step.args[0].evaluate(slots);
      if (step.node->is(NodeKind::kPlaceholder)) {
        slots[i] = std::move(inputs[next_input++]);
      } else if (step.node->is(NodeKind::kGetAttr)) {
        slots[i] = gm_.tensor(step.node->target());
      } else {
        auto value = run_node(*step.node, evaluate(step.args, step.width()),
                              evaluate(step.kwargs, step.kwargs.size()));
        status = value.status();
        if (value.ok()) slots[i] = *std::move(value);
      }
      if (status.ok()) status = on_value(*step.node, slots[i]);
    } catch (const std::exception& error) {
      status = absl::InvalidArgumentError(first_lines(error.what()));
    }
    if (!status.ok()) {
      return absl::Status(status.code(),
                          fmt::format("{}: {}", where(*step.node), std::string(status.message())));
    }
    for (int slot : step.dead) slots[static_cast<size_t>(slot)] = c10::IValue();
  }
  return absl::FailedPreconditionError("the graph has no output");
}

}  // namespace fxq
