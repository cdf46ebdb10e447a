// conv, linear: elements of the result * (elements of the weight / output channels)
// transposed:   elements of the input  * (elements of the weight / input channels)
// matmul:       elements of the result * operand 0's last dim
#include "fxq/quant/macs.h"

#include <ATen/core/Tensor.h>

#include <algorithm>

#include "fxq/graph/op_module.h"
#include "fxq/graph/view.h"

namespace fxq {
namespace {

int64_t elements(const Type& type) {
  if (!type.is_tensor() || !type.dims) return 0;
  int64_t count = 1;
  for (const Dim& dim : *type.dims) count *= dim.is_known() ? dim.size : 1;
  return count;
}

}  // namespace

int64_t multiply_accumulates(const GraphModule& gm, const Node& node) {
  const OpView view(gm, &node);
  const OpDef& def = view.def();
  if (def.contracts) {
    const Node* left = view.operand(0);
    if (!left || left->type.rank() < 1) return 0;
    const Dim& inner = left->type.dims->back();
    return elements(node.type) * (inner.is_known() ? inner.size : 1);
  }
  if (!is_weighted(node.op())) return 0;
  const at::Tensor weight = view.param(def.weight);
  if (!weight.defined() || weight.size(0) == 0 || !view.operand(0)) return 0;
  const Type& counted = def.channel_axis == 0 ? node.type : view.operand(0)->type;
  return elements(counted) * (weight.numel() / weight.size(0));
}

bool has_unknown_macs(const GraphModule& gm, const Node& node) {
  if (!node.is_call()) return false;
  if (!node.schema()) return true;
  const OpModule* module = gm.op_module(node);
  if (!module || multiply_accumulates(gm, node) > 0) return false;
  const NamedTensors tensors = module->tensors();
  const auto is_matrix = [](const auto& entry) {
    return entry.second.defined() && entry.second.dim() >= 2;
  };
  return std::count_if(tensors.begin(), tensors.end(), is_matrix) >= 2;  // an embedding has one
}

}  // namespace fxq
