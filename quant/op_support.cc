// Questions in order: the op, its qconfig, its width, the march's limits, the kernel's own limits,
// operands (dtype, writes in place), the result.
#include "fxq/quant/op_support.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "fxq/graph/view.h"
#include "fxq/quant/march_limits.h"
#include "fxq/quant/reference_kernels/through_float.h"

namespace fxq {
namespace {

using MaybeRefusal = std::optional<Refusal>;

std::string_view width(bool wide) { return wide ? "int16" : "int8"; }

// Ops of the table only; code that has no schema is TorchScript.
MaybeRefusal refuse_op(const Node& node, const SupportQuestion& question) {
  const OpDef& def = op_def(node.op());
  const std::string_view march = march_name(question.march);
  if (!node.schema()) return Refusal{"E012", "it is TorchScript that is kept whole"};
  if (!def.kernel.empty() && !reference_row(def.id).run) {
    return Refusal{"E001", fmt::format("its kernel family '{}' is not registered", def.kernel)};
  }
  if (march_bits(question.march, def) != kQNone && def.rule != Rule::kFloatOnly) {
    return std::nullopt;
  }
  if (!has_bpu(question.march)) {
    return Refusal{"E001", fmt::format("{} has no integer kernel", march)};
  }
  const std::string name = def.name.empty() ? node.target() : std::string(def.name);
  return Refusal{"E001", fmt::format("{} has no {}", march, name)};
}

MaybeRefusal refuse_qconfig(const Node& node, const SupportQuestion& question) {
  if (!question.qconfig) return Refusal{"E002", "its qconfig says not to quantize"};
  const OpDef& def = op_def(node.op());
  const bool may_give_floats =
      def.rule == Rule::kWeighted || def.rule == Rule::kAnswers || def.contracts;
  if (question.qconfig->activation || may_give_floats) return std::nullopt;
  return Refusal{"E002", "its qconfig has no activation"};
}

// The width of the result is the qconfig's, or the operand's where integers are only moved.
MaybeRefusal refuse_width(const Node& node, const SupportQuestion& question,
                          const std::vector<Node*>& operands) {
  const OpDef& def = op_def(node.op());
  const bool shares = shares_operand(node) && has_bpu(question.march) && !operands.empty();
  const bool wide = shares ? question.is_wide(operands[0]) : asks_for_int16(question.qconfig);
  const bool observed = question.qconfig->activation && def.rule != Rule::kAnswers;
  const uint8_t out =
      shares ? march_bits(question.march, def) : march_out_bits(question.march, def);
  if (observed && (out & (wide ? kQ16 : kQ8)) == 0) {
    return Refusal{
        "E009", fmt::format("{} has no {} {}", march_name(question.march), width(wide), def.name)};
  }
  if (!has_bpu(question.march)) return std::nullopt;
  for (const Node* operand : operands) {
    const bool is_wide = question.is_wide(operand);
    // To the result's width; an answer has none.
    const bool converts = !is_weighted(node.op()) && !def.contracts && def.rule != Rule::kAnswers;
    if (converts || (march_bits(question.march, def) & (is_wide ? kQ16 : kQ8)) != 0) continue;
    return Refusal{
        "E009", fmt::format("{} has no {} that reads {}, which %{} is", march_name(question.march),
                            def.name, width(is_wide), operand->name())};
  }
  return std::nullopt;
}

// Beside a BPU, what no kernel of ours does is computed through floats, by the op's own code.
std::string kernel_limit(const OpView& view, March march) {
  const bool has_family = !view.def().kernel.empty();
  const std::string limit = has_family ? reference_row(view.op()).limits(view) : "";
  if (has_family && (limit.empty() || !has_bpu(march))) return limit;
  const std::string through_float = through_float_limits(view);
  return through_float.empty() || limit.empty() ? through_float : limit;
}

}  // namespace

bool runs_through_float(const GraphModule& gm, const Node& node, March march) {
  const OpView view(gm, &node);
  if (!has_bpu(march) || view.op() == OpId::kNone || view.op() == OpId::kGetItem) return false;
  return view.def().kernel.empty() || !reference_row(view.op()).limits(view).empty();
}

namespace {

MaybeRefusal refuse_tensor(const Node& value, std::string_view role) {
  const Type& type = value.type;
  if (type.kind != Type::Kind::kUnknown && !type.is_tensor()) {
    return Refusal{"E004", fmt::format("{} %{} is no tensor", role, value.name())};
  }
  if (type.dtype && *type.dtype != DType::kF32) {
    return Refusal{
        "E004", fmt::format("{} %{} is {}, not f32", role, value.name(), dtype_name(*type.dtype))};
  }
  if (type.rank() >= 0 && (type.rank() < 2 || type.rank() > 5)) {
    return Refusal{"E005", fmt::format("{} %{} has rank {}; integer kernels take 2 to 5", role,
                                       value.name(), type.rank())};
  }
  return std::nullopt;
}

// Several results are read through getitem only, so that each part has a type of its own.
MaybeRefusal refuse_result(const Node& node) {
  if (node.type.kind != Type::Kind::kTuple && node.type.kind != Type::Kind::kList) {
    return refuse_tensor(node, "its result");
  }
  for (const Node* user : node.users()) {
    if (user->op() != OpId::kGetItem) {
      return Refusal{"E007", fmt::format("%{} uses its list of results as a whole", user->name())};
    }
  }
  return std::nullopt;
}

MaybeRefusal refuse_written(const Node& value, const WrittenValues& written) {
  const Node* writer = written.writer(&value);
  if (!writer) return std::nullopt;
  return Refusal{"E008", fmt::format("%{} writes into %{} in place", writer->name(), value.name())};
}

}  // namespace

bool computes_numbers(const Node& node) {
  auto is_number = [](const Type& type) {
    return type.kind == Type::Kind::kInt || type.kind == Type::Kind::kFloat ||
           type.kind == Type::Kind::kBool;
  };
  return is_number(node.type) &&
         std::all_of(node.inputs().begin(), node.inputs().end(),
                     [&](const Node* input) { return is_number(input->type); });
}

bool is_plumbing(const Node& node) {
  if (!node.is_call() || computes_numbers(node)) return true;
  if (node.op() == OpId::kQuantStub || node.op() == OpId::kDeQuantStub) return true;
  if (op_def(node.op()).fills) return true;
  return op_def(node.op()).rule == Rule::kNotTensor && !shares_operand(node);
}

bool shares_operand(const Node& node) {
  return op_def(node.op()).rule == Rule::kSharesInput || node.op() == OpId::kGetItem;
}

std::vector<Node*> value_operands(const GraphModule& gm, const Node& node) {
  std::vector<Node*> operands = OpView(gm, &node).operands();
  if (shares_operand(node) && operands.size() > 1) operands.resize(1);
  if (Node* add = node.epilogue_add()) operands.push_back(add);
  return operands;
}

bool may_be_quantized(const Type& type) {
  if (!type.elements.empty()) {
    return std::any_of(type.elements.begin(), type.elements.end(), may_be_quantized);
  }
  if (type.kind == Type::Kind::kUnknown) return true;
  return type.is_tensor() && type.dtype.value_or(DType::kF32) == DType::kF32;
}

bool asks_for_int16(const QConfig* qconfig) {
  return qconfig && qconfig->activation &&
         qconfig->activation->options().observer_kwargs.dtype == DType::kI16;
}

std::optional<Refusal> refuse_integers(const Node& node, const SupportQuestion& question) {
  const OpView view(question.gm, &node);
  if (node.op() == OpId::kGetItem) {
    const Node* whole = node.args().empty() ? nullptr : node.args()[0].node();
    const bool integers = whole && question.is_integer(whole) && may_be_quantized(node.type);
    if (integers) return std::nullopt;
    return Refusal{"E006", "it is part of a float value"};
  }
  if (MaybeRefusal refusal = refuse_op(node, question)) return refusal;
  if (MaybeRefusal refusal = refuse_qconfig(node, question)) return refusal;
  const std::vector<Node*> operands = value_operands(question.gm, node);
  if (MaybeRefusal refusal = refuse_width(node, question, operands)) return refusal;
  const std::vector<std::string> limits = broken_limits(question.march, view);
  if (!limits.empty()) return Refusal{"E010", fmt::format("{}", fmt::join(limits, "; "))};
  const std::string limit = kernel_limit(view, question.march);
  if (!limit.empty()) return Refusal{"E003", limit};
  if (operands.empty()) return Refusal{"E004", "it has no tensor operand"};
  for (const Node* operand : operands) {
    if (MaybeRefusal refusal = refuse_tensor(*operand, "operand")) return refusal;
    if (MaybeRefusal refusal = refuse_written(*operand, *question.written)) return refusal;
  }
  if (MaybeRefusal refusal = refuse_written(node, *question.written)) return refusal;
  if (op_def(node.op()).rule == Rule::kAnswers) return std::nullopt;
  if (MaybeRefusal refusal = refuse_result(node)) return refusal;
  if (!has_bpu(question.march) && shares_operand(node) && !question.is_integer(operands[0])) {
    return Refusal{"E006", fmt::format("its operand %{} is float", operands[0]->name())};
  }
  return std::nullopt;
}

}  // namespace fxq
