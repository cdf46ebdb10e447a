// rank(conv2d(x, w)) = rank(w) = 4;  rank(relu(x)) = rank(x);  rank(x + y) = the larger.
#include "fxq/tracer/rank.h"

#include <ATen/core/Tensor.h>

#include <unordered_map>

#include "fxq/graph/graph_module.h"
#include "fxq/graph/op_module.h"
#include "fxq/graph/view.h"

namespace fxq {
namespace {

using Known = std::unordered_map<const Node*, c10::optional<int64_t>>;

c10::optional<int64_t> find_rank(const GraphModule& gm, const Node* node, Known& known);

c10::optional<int64_t> largest_operand_rank(const GraphModule& gm, const OpView& view,
                                            Known& known) {
  c10::optional<int64_t> rank;
  for (const Node* operand : view.operands()) {
    const c10::optional<int64_t> one = find_rank(gm, operand, known);
    if (!one) return c10::nullopt;
    if (!rank || *one > *rank) rank = one;
  }
  return rank;
}

c10::optional<int64_t> rank_of_result(const GraphModule& gm, const Node* node, Known& known) {
  if (node->type.is_tensor() && node->type.dims) return node->type.rank();
  if (!node->is_call() || node->op() == OpId::kNone) return c10::nullopt;
  const OpDef& def = op_def(node->op());
  const OpView view(gm, node);
  if (def.keeps_rank) return largest_operand_rank(gm, view, known);
  if (!is_weighted(node->op())) return c10::nullopt;
  const at::Tensor weight = view.param(def.weight);
  return weight.defined() ? c10::optional<int64_t>(weight.dim()) : c10::nullopt;
}

c10::optional<int64_t> find_rank(const GraphModule& gm, const Node* node, Known& known) {
  const auto found = known.find(node);
  if (found != known.end()) return found->second;
  const c10::optional<int64_t> rank = rank_of_result(gm, node, known);
  known.emplace(node, rank);
  return rank;
}

}  // namespace

c10::optional<int64_t> rank_of(const GraphModule& gm, const Node* node) {
  Known known;
  return find_rank(gm, node, known);
}

}  // namespace fxq
