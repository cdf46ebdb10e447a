// addmm(bias, x, t(w)) -> linear(x, w, bias)        matmul(x, t(w)) -> linear(x, w)        mm ->
// matmul
// Exact: ATen's linear of a 2-d input is that addmm; w must be a module's tensor of two dimensions.
#include <ATen/core/Tensor.h>

#include "fxq/tracer/canonical/canonical.h"

namespace fxq {
namespace {

// The w of t(w), transpose(w, 0, 1) and permute(w, [1, 0]) if it is a module's matrix; else null.
ValuePtr transposed_weight(const ValuePtr& value, const CanonicalContext& context) {
  if (!value->is(Value::Kind::kNode)) return nullptr;
  const Node* node = value->node;
  if (node->op() != OpId::kTranspose || !node->args()[0].is_node()) return nullptr;
  Node* source = node->args()[0].node();
  const ValuePtr weight = make_node_value(source, c10::TensorType::get());
  const at::Tensor tensor = context.known_tensor(weight);
  if (!tensor.defined() || tensor.dim() != 2) return nullptr;
  return weight;
}

bool is_one(const ValuePtr& value) { return constant_number(*value) == 1.0; }

}  // namespace

bool addmm_to_linear(Call& call, const CanonicalContext& context) {
  if (!is_one(call.arg("beta")) || !is_one(call.arg("alpha"))) return false;
  const ValuePtr weight = transposed_weight(call.arg("mat2"), context);
  const at::Tensor bias = context.known_tensor(call.arg("self"));
  if (!weight || !bias.defined() || bias.dim() != 1) return false;
  return call.become("aten::linear", {call.arg("mat1"), weight, call.arg("self")});
}

bool matmul_to_linear(Call& call, const CanonicalContext& context) {
  const ValuePtr weight = transposed_weight(call.args[1], context);
  if (!weight) return false;
  return call.become("aten::linear", {call.args[0], weight, make_constant(c10::IValue())});
}

// Of two matrices matmul is mm.
bool mm_to_matmul(Call& call, const CanonicalContext&) {
  return call.become("aten::matmul", call.args);
}

}  // namespace fxq
