// f32 along dim, m = max x: softmax e_i / s and log_softmax (x_i - m) - log(s), e_i = exp_f32(x_i -
// m). s in double: of a dense row, 16 sums of i mod 16 that are added up in order; else in order.
#include <ATen/ops/empty_like.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "fxq/base/exp.h"
#include "fxq/quant/reference_kernels/reference_kernel.h"

namespace fxq {
namespace {

double sum_of(const std::vector<float>& e, bool dense) {
  std::array<double, 16> lanes{};
  for (size_t i = 0; i < e.size(); ++i) lanes[dense ? i % lanes.size() : 0] += e[i];
  double sum = lanes[0];
  for (size_t i = 1; i < lanes.size(); ++i) sum += lanes[i];
  return sum;
}

void softmax_row(const float* x, float* y, int64_t count, int64_t stride, bool logarithm) {
  float most = x[0];
  for (int64_t i = 1; i < count; ++i) most = std::max(most, x[i * stride]);
  std::vector<float> e;
  for (int64_t i = 0; i < count; ++i) e.push_back(exp_f32(x[i * stride] - most));
  const double sum = sum_of(e, stride == 1);
  const auto factor = static_cast<float>(1.0 / sum);
  const auto offset = static_cast<float>(std::log(sum));
  for (int64_t i = 0; i < count; ++i) {
    y[i * stride] =
        logarithm ? (x[i * stride] - most) - offset : e[static_cast<size_t>(i)] * factor;
  }
}

at::Tensor softmax_along(const at::Tensor& any, int64_t dim, bool logarithm) {
  const at::Tensor x = any.contiguous();
  at::Tensor y = at::empty_like(x);
  if (x.numel() == 0) return y;
  const int64_t axis = dim < 0 ? dim + std::max<int64_t>(x.dim(), 1) : dim;
  const int64_t count = x.dim() == 0 ? 1 : x.size(axis);
  const int64_t stride = x.dim() == 0 ? 1 : x.stride(axis);
  for (int64_t row = 0; row < x.numel() / count; ++row) {
    const int64_t at = row / stride * count * stride + row % stride;
    softmax_row(x.data_ptr<float>() + at, y.data_ptr<float>() + at, count, stride, logarithm);
  }
  return y;
}

}  // namespace

absl::StatusOr<c10::IValue> reference_Softmax(const ReferenceCall& call) {
  return softmax_along(call.operand(), call.view.attr_int("dim"), false);
}

absl::StatusOr<c10::IValue> reference_LogSoftmax(const ReferenceCall& call) {
  return softmax_along(call.operand(), call.view.attr_int("dim"), true);
}

std::string limits_Softmax(const OpView& view) {
  return view.attr("dim").get_if<int64_t>() ? "" : "its dim is computed while running";
}

std::string limits_LogSoftmax(const OpView& view) { return limits_Softmax(view); }

}  // namespace fxq
