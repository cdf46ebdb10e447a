// Integers in or out, or a float op with a kernel of its own -> reference kernel; else ->
// Interpreter::run_node.
#include "fxq/quant/reference_interpreter.h"

#include <ATen/core/Tensor.h>
#include <fmt/format.h>

#include <algorithm>

#include "fxq/graph/leaf_module.h"
#include "fxq/quant/reference_kernels/through_float.h"

namespace fxq {
namespace {

bool touches_integers(const Node& node) {
  if (holds_integers(node.type)) return true;
  return std::any_of(node.inputs().begin(), node.inputs().end(),
                     [](const Node* input) { return holds_integers(input->type); });
}

}  // namespace

bool holds_integers(const Type& type) {
  return type.is_quantized() ||
         std::any_of(type.elements.begin(), type.elements.end(), holds_integers);
}

absl::StatusOr<c10::IValue> ReferenceInterpreter::run_node(const Node& node,
                                                           std::vector<c10::IValue> args,
                                                           std::vector<c10::IValue> kwargs) {
  const ReferenceRow& row = reference_row(node.op());
  const bool in_float = !op_def(node.op()).float_kernel.empty();
  const bool has_kernel = row.run && (!in_float || has_float_kernel(graph_module(), node));
  if (!touches_integers(node) && !(in_float && has_kernel))
    return Interpreter::run_node(node, std::move(args), std::move(kwargs));
  const bool is_question = op_def(node.op()).rule == Rule::kNotTensor && !holds_integers(node.type);
  if (!has_kernel && is_question) {  // what is asked of integers, the reals answer
    for (c10::IValue& arg : args) {
      if (arg.isTensor()) arg = arg.toTensor().to(at::kFloat);
    }
    return Interpreter::run_node(node, std::move(args), std::move(kwargs));
  }
  const OpView view(graph_module(), &node);
  const bool through_float = touches_integers(node) && runs_through_float(view);
  if (!has_kernel && !through_float) {
    return absl::InternalError(
        fmt::format("{} takes or gives integers, but has no reference kernel; "
                    "convert_fx should have put a dequantize before it",
                    node.target()));
  }
  const ReferenceCall call{
      graph_module(), node, view, std::move(args), kwargs, [&](std::vector<c10::IValue> other) {
        return Interpreter::run_node(node, std::move(other), kwargs);
      }};
  return through_float ? run_through_float(call) : row.run(call);
}

}  // namespace fxq
