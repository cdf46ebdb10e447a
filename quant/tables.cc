// table[q] = quantize(op(dequantize(q))) for every q of the operand's dtype.
#include "fxq/quant/tables.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/prelu.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros_like.h>

#include "fxq/base/check.h"
#include "fxq/base/status.h"
#include "fxq/graph/interpreter.h"
#include "fxq/graph/ivalue_convert.h"
#include "fxq/graph/leaf_module.h"
#include "fxq/graph/view.h"
#include "fxq/quant/qdtype.h"
#include "fxq/quant/reference_kernels/arithmetic.h"

namespace fxq {
namespace {

// Every integer of the dtype as the real number that it stands for.
at::Tensor all_values(const Type& type) {
  const QRange range = range_of(*type.dtype);
  return dequantize(at::arange(range.min, range.max + 1, at::kInt), type.qparams->scale);
}

at::Tensor quantize_to(const at::Tensor& x, const Type& type) {
  return quantize(x, type.qparams->scale, *type.dtype);
}

// The node's op with x in place of its only tensor; all else in it is constant.
absl::StatusOr<at::Tensor> apply(const GraphModule& gm, const Node& node, const at::Tensor& x) {
  c10::IValue result;
  if (node.is(NodeKind::kCallModule)) {
    result = gm.module(node.target())->call("forward", {x});
  } else {
    std::vector<c10::IValue> stack;
    const auto& declared = node.schema()->arguments();
    for (size_t i = 0; i < declared.size(); ++i) {
      const Argument* value = i < node.args().size() ? &node.args()[i] : nullptr;
      if (const Argument* named = node.kwarg(declared[i].name())) value = named;
      if (value && value->is_node())
        stack.emplace_back(x);
      else if (value)
        stack.push_back(to_ivalue_as(*value, declared[i].type()));
      else if (declared[i].default_value())
        stack.push_back(*declared[i].default_value());
    }
    FXQ_ASSIGN_OR_RETURN(result, call_schema(*node.schema(), std::move(stack)));
  }
  return result.toTensor();
}

}  // namespace

int64_t table_start(const Type& operand) { return range_of(*operand.dtype).min; }

absl::StatusOr<at::Tensor> make_table(const GraphModule& gm, const Node& node) {
  const Type& input = OpView(gm, &node).operand(0)->type;
  FXQ_CHECK(input.is_quantized() && node.type.is_quantized(), "a table needs two scales");
  FXQ_ASSIGN_OR_RETURN(const at::Tensor y, apply(gm, node, all_values(input)));
  return quantize_to(y, node.type);
}

absl::StatusOr<at::Tensor> make_prelu_tables(const GraphModule& gm, const Node& node) {
  const OpView view(gm, &node);
  const at::Tensor x = all_values(view.operand(0)->type);
  const at::Tensor weight = view.param("weight").to(at::kFloat).view({-1});
  std::vector<at::Tensor> rows;
  for (int64_t c = 0; c < weight.size(0); ++c) {
    rows.push_back(quantize_to(at::prelu(x, weight.slice(0, c, c + 1)), node.type));
  }
  return at::stack(rows);
}

std::pair<at::Tensor, at::Tensor> make_batch_norm_affine(const GraphModule& gm, const Node& node) {
  const OpView view(gm, &node);
  const double in = view.operand(0)->type.qparams->scale;
  const double out = node.type.qparams->scale;
  const at::Tensor mean = view.param("running_mean").detach().to(at::kDouble);
  const at::Tensor var = view.param("running_var").detach().to(at::kDouble);
  at::Tensor factor = 1.0 / (var + view.attr_float("eps", 1e-5)).sqrt();
  const at::Tensor gamma = view.param("weight");
  if (gamma.defined()) factor = gamma.detach().to(at::kDouble) * factor;
  const at::Tensor beta = view.param("bias");
  const at::Tensor shift =
      (beta.defined() ? beta.detach().to(at::kDouble) : at::zeros_like(mean)) - mean * factor;
  return {(factor * (in / out)).to(at::kFloat), (shift / out).to(at::kFloat)};
}

}  // namespace fxq
