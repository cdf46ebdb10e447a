// Questions in order: the march, the kernel's own limits, operands (dtype, writes in place), the
// result.
#include "fxq/quant/op_support.h"

#include <fmt/format.h>

#include "fxq/graph/view.h"
#include "fxq/quant/reference_kernels/reference_kernel.h"

namespace fxq {
namespace {

using MaybeRefusal = std::optional<Refusal>;

MaybeRefusal refuse_march(const OpDef& def, const SupportQuestion& question) {
  const uint8_t bits = march_bits(question.march, def);
  const bool unknown_family = !def.kernel.empty() && !reference_row(def.id).run;
  if (unknown_family) {
    return Refusal{"E001", fmt::format("its kernel family '{}' is not registered", def.kernel)};
  }
  if (bits == kQNone || def.rule == Rule::kFloatOnly || !reference_row(def.id).run) {
    return Refusal{"E001", fmt::format("{} has no integer kernel", march_name(question.march))};
  }
  if (!question.qconfig) return Refusal{"E002", "its qconfig says not to quantize"};
  const bool weighted = def.rule == Rule::kWeighted;
  if (!question.qconfig->activation) {
    if (weighted) return std::nullopt;
    return Refusal{"E002", "its qconfig has no activation"};
  }
  const bool wide = question.qconfig->activation->options().observer_kwargs.dtype == DType::kI16;
  if ((bits & (wide ? kQ16 : kQ8)) != 0) return std::nullopt;
  return Refusal{"E001", fmt::format("{} has no {} kernel", march_name(question.march),
                                     wide ? "int16" : "int8")};
}

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

bool is_plumbing(const Node& node) {
  if (!node.is_call()) return true;
  if (node.op() == OpId::kQuantStub || node.op() == OpId::kDeQuantStub) return true;
  return op_def(node.op()).rule == Rule::kNotTensor && !shares_operand(node);
}

bool shares_operand(const Node& node) {
  return op_def(node.op()).rule == Rule::kSharesInput || node.op() == OpId::kGetItem;
}

std::vector<Node*> value_operands(const GraphModule& gm, const Node& node) {
  std::vector<Node*> operands = OpView(gm, &node).operands();
  if (Node* add = node.epilogue_add()) operands.push_back(add);
  return operands;
}

std::optional<Refusal> refuse_integers(const Node& node, const SupportQuestion& question) {
  const OpDef& def = op_def(node.op());
  const OpView view(question.gm, &node);
  if (node.op() == OpId::kGetItem) {
    const Node* whole = node.args().empty() ? nullptr : node.args()[0].node();
    if (whole && question.is_integer(whole)) return std::nullopt;
    return Refusal{"E006", "it is part of a float value"};
  }
  if (MaybeRefusal refusal = refuse_march(def, question)) return refusal;
  const std::string limit = reference_row(node.op()).limits(view);
  if (!limit.empty()) return Refusal{"E003", limit};
  const std::vector<Node*> operands = value_operands(question.gm, node);
  if (operands.empty()) return Refusal{"E004", "it has no tensor operand"};
  for (const Node* operand : operands) {
    if (MaybeRefusal refusal = refuse_tensor(*operand, "operand")) return refusal;
    if (MaybeRefusal refusal = refuse_written(*operand, *question.written)) return refusal;
  }
  if (MaybeRefusal refusal = refuse_written(node, *question.written)) return refusal;
  if (MaybeRefusal refusal = refuse_result(node)) return refusal;
  if (shares_operand(node) && !question.is_integer(operands[0])) {
    return Refusal{"E006", fmt::format("its operand %{} is float", operands[0]->name())};
  }
  return std::nullopt;
}

}  // namespace fxq
