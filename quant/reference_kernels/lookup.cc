// Unary functions look the result up: y = table[q]; prelu has a table per channel.
// batch_norm: p = fmaf((float)q, a[c], b[c]), relu or relu6 of p, sat(rint(p)).
#include <ATen/ops/index_select.h>
#include <ATen/ops/stack.h>

#include "fxq/base/status.h"
#include "fxq/quant/reference_kernels/arithmetic.h"
#include "fxq/quant/tables.h"

namespace fxq {
namespace {

at::Tensor look_up(const at::Tensor& table, const at::Tensor& q, int64_t first) {
  const at::Tensor index = (q.to(at::kInt) - first).contiguous();
  return table.index_select(0, index.view({-1})).view(q.sizes());
}

std::vector<int64_t> channel_shape(const at::Tensor& x) {
  std::vector<int64_t> shape(static_cast<size_t>(x.dim()), 1);
  shape[1] = -1;
  return shape;
}

}  // namespace

absl::StatusOr<c10::IValue> reference_Table(const ReferenceCall& call) {
  FXQ_ASSIGN_OR_RETURN(const at::Tensor table, make_table(call.gm, call.node));
  return look_up(table, call.operand(), table_start(call.view.operand(0)->type));
}

absl::StatusOr<c10::IValue> reference_Prelu(const ReferenceCall& call) {
  FXQ_ASSIGN_OR_RETURN(const at::Tensor tables, make_prelu_tables(call.gm, call.node));
  const at::Tensor q = call.operand();
  const int64_t first = table_start(call.view.operand(0)->type);
  if (tables.size(0) == 1) return look_up(tables[0], q, first);
  std::vector<at::Tensor> channels;
  for (int64_t c = 0; c < q.size(1); ++c) {
    channels.push_back(look_up(tables[c], q.select(1, c), first));
  }
  return at::stack(channels, 1);
}

absl::StatusOr<c10::IValue> reference_BatchNorm(const ReferenceCall& call) {
  const auto [a, b] = make_batch_norm_affine(call.gm, call.node);
  const at::Tensor q = call.operand();
  const auto shape = channel_shape(q);
  const at::Tensor p = fma(q.to(at::kFloat), a.view(shape), b.view(shape));
  return saturate(clamp_activation(p, call), call.output_dtype());
}

std::string limits_Table(const OpView& view) {
  if (view.operands().size() != 1) return "its integer kernel wants one tensor";
  return constant_attributes(view);
}

std::string limits_Prelu(const OpView& view) {
  if (!view.param("weight").defined()) return "its weight is computed while running";
  return no_epilogue(view);
}

std::string limits_BatchNorm(const OpView& view) {
  if (!view.param("running_mean").defined() || !view.param("running_var").defined()) {
    return "it has no running statistics";
  }
  if (view.attr_bool("training", false)) return "it normalises with the batch's own statistics";
  return only_activation(view);
}

}  // namespace fxq
