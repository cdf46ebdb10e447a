// Custom autograd functions: the forward is ATen's fake_quantize, the backward a mask.
#include "fxq/quant/gradients.h"

#include <ATen/ops/fake_quantize_per_channel_affine.h>
#include <ATen/ops/fake_quantize_per_tensor_affine.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cmath>

namespace fxq {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct StraightThrough : torch::autograd::Function<StraightThrough> {
  static at::Tensor forward(AutogradContext*, const at::Tensor&, const at::Tensor& y) {
    return y.detach();
  }
  static variable_list backward(AutogradContext*, variable_list gradients) {
    return {gradients[0], at::Tensor()};
  }
};

// alpha, shaped to broadcast over x.
at::Tensor spread(const at::Tensor& alpha, const at::Tensor& x, std::optional<int> axis) {
  if (!axis) return alpha;
  std::vector<int64_t> shape(static_cast<size_t>(x.dim()), 1);
  shape[static_cast<size_t>(*axis)] = -1;
  return alpha.view(shape);
}

at::Tensor rounded(const at::Tensor& x, const at::Tensor& alpha, QRange range,
                   std::optional<int> axis) {
  const at::Tensor scale = alpha / range.half_width();
  const at::Tensor zero = at::zeros(scale.sizes(), scale.options().dtype(at::kInt));
  if (axis) {
    return at::fake_quantize_per_channel_affine(x, scale, zero, *axis, range.min, range.max);
  }
  return at::fake_quantize_per_tensor_affine(x, scale, zero, range.min, range.max);
}

struct Pact : torch::autograd::Function<Pact> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& alpha,
                            int64_t low, int64_t high, int64_t axis) {
    context->save_for_backward({x, alpha});
    context->saved_data["axis"] = axis;
    const QRange range{static_cast<int>(low), static_cast<int>(high)};
    return rounded(x, alpha, range, axis < 0 ? std::nullopt : std::optional<int>(axis));
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const int64_t axis = context->saved_data["axis"].toInt();
    const at::Tensor& x = saved[0];
    const at::Tensor& alpha = saved[1];
    const at::Tensor limit =
        spread(alpha, x, axis < 0 ? std::nullopt : std::optional<int>(static_cast<int>(axis)));
    const at::Tensor& gradient = gradients[0];
    const at::Tensor above = x.ge(limit), below = x.le(-limit);
    const at::Tensor inside = above.logical_or(below).logical_not();
    const at::Tensor by_alpha =
        gradient * (above.to(gradient.scalar_type()) - below.to(gradient.scalar_type()));
    const at::Tensor none;
    return {gradient * inside, by_alpha.sum_to_size(limit.sizes()).view(alpha.sizes()), none, none,
            none};
  }
};

}  // namespace

at::Tensor straight_through(const at::Tensor& x, const at::Tensor& y) {
  return StraightThrough::apply(x, y);
}

at::Tensor pact(const at::Tensor& x, const at::Tensor& alpha, QRange range,
                std::optional<int> axis) {
  return Pact::apply(x, alpha, range.min, range.max, axis.value_or(-1));
}

double lsq_gradient_factor(const at::Tensor& x, QRange range, std::optional<int> axis) {
  const int64_t values = axis ? x.numel() / std::max<int64_t>(1, x.size(*axis)) : x.numel();
  return 1.0 / std::sqrt(static_cast<double>(std::max<int64_t>(1, values)) * range.max);
}

}  // namespace fxq
