// Custom autograd functions over plain loops; tensors that are not plain go through ATen.
#include "fxq/quant/gradients.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/fake_quantize_per_channel_affine.h>
#include <ATen/ops/fake_quantize_per_tensor_affine.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cmath>

#include "fxq/quant/fake_quantize_rows.h"

namespace fxq {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Tensors of the loops in fake_quantize_rows.h: f32, on the host, without gaps.
bool is_plain(const at::Tensor& x) {
  return x.is_cpu() && x.scalar_type() == at::kFloat && x.layout() == at::kStrided &&
         x.is_non_overlapping_and_dense() && x.numel() > 0;
}

absl::Span<const float> values(const at::Tensor& x) {
  return {x.data_ptr<float>(), static_cast<size_t>(x.numel())};
}
absl::Span<float> values_of(at::Tensor& x) {
  return {x.data_ptr<float>(), static_cast<size_t>(x.numel())};
}

FakeQuantRow row_of(const at::Tensor& scale, int64_t row, int64_t low, int64_t high) {
  return {scale.data_ptr<float>()[scale.numel() == 1 ? 0 : row], static_cast<float>(low),
          static_cast<float>(high)};
}

constexpr int64_t kGrain = 1 << 15;  // values worth a thread

// work(first, count) over n values, on ATen's threads.
template <typename Work>
void in_parts(int64_t n, const Work& work) {
  at::parallel_for(0, n, kGrain, [&](int64_t begin, int64_t end) {
    work(static_cast<size_t>(begin), static_cast<size_t>(end - begin));
  });
}

struct FakeQuantizeTensor : torch::autograd::Function<FakeQuantizeTensor> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& scale,
                            int64_t low, int64_t high) {
    context->save_for_backward({x, scale});
    context->saved_data["low"] = low;
    context->saved_data["high"] = high;
    at::Tensor y = at::empty_like(x);
    const FakeQuantRow to = row_of(scale, 0, low, high);
    const auto in = values(x);
    const auto out = values_of(y);
    in_parts(x.numel(), [&](size_t first, size_t count) {
      fake_quantize_row(in.subspan(first, count), to, out.subspan(first, count));
    });
    return y;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor& x = saved[0];
    at::Tensor g = gradients[0];
    if (!is_plain(g) || g.strides() != x.strides()) g = at::empty_like(x).copy_(g);
    const FakeQuantRow to = row_of(saved[1], 0, context->saved_data["low"].toInt(),
                                   context->saved_data["high"].toInt());
    at::Tensor gx = at::empty_like(x);
    const auto in = values(x), from = values(g);
    const auto out = values_of(gx);
    in_parts(x.numel(), [&](size_t first, size_t count) {
      fake_quantize_gradient_row(in.subspan(first, count), from.subspan(first, count), to,
                                 out.subspan(first, count));
    });
    const at::Tensor none;
    return {gx, none, none, none};
  }
};

struct FoldedWeights : torch::autograd::Function<FoldedWeights> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& w, const at::Tensor& factor,
                            const at::Tensor& scale, int64_t low, int64_t high) {
    context->save_for_backward({w, factor, scale});
    context->saved_data["low"] = low;
    context->saved_data["high"] = high;
    at::Tensor y = at::empty_like(w, at::MemoryFormat::Contiguous);
    const auto in = values(w);
    const auto out = values_of(y);
    for_rows(w, [&](int64_t row, size_t first, size_t width) {
      folded_row(in.subspan(first, width), factor.data_ptr<float>()[row],
                 row_of(scale, row, low, high), out.subspan(first, width));
    });
    return y;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &w = saved[0], &factor = saved[1], &scale = saved[2];
    const int64_t low = context->saved_data["low"].toInt();
    const int64_t high = context->saved_data["high"].toInt();
    const at::Tensor g = gradients[0].contiguous();
    at::Tensor gw = at::empty_like(w), by_factor = at::empty_like(factor);
    const auto in = values(w), from = values(g);
    const auto out = values_of(gw);
    for_rows(w, [&](int64_t row, size_t first, size_t width) {
      by_factor.data_ptr<float>()[row] = static_cast<float>(folded_gradient_row(
          in.subspan(first, width), from.subspan(first, width), factor.data_ptr<float>()[row],
          row_of(scale, row, low, high), out.subspan(first, width)));
    });
    const at::Tensor none;
    return {gw, by_factor, none, none, none};
  }

  template <typename Work>
  static void for_rows(const at::Tensor& w, const Work& work) {
    const int64_t rows = w.size(0), width = w.numel() / rows;
    at::parallel_for(0, rows, std::max<int64_t>(1, kGrain / width),
                     [&](int64_t begin, int64_t end) {
                       for (int64_t row = begin; row < end; ++row) {
                         work(row, static_cast<size_t>(row * width), static_cast<size_t>(width));
                       }
                     });
  }
};

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

at::Tensor fake_quantize(const at::Tensor& x, const at::Tensor& scale, QRange range) {
  if (is_plain(x) && is_plain(scale)) {
    return FakeQuantizeTensor::apply(x, scale, range.min, range.max);
  }
  const at::Tensor zero = at::zeros(scale.sizes(), scale.options().dtype(at::kInt));
  return at::fake_quantize_per_tensor_affine(x, scale, zero, range.min, range.max);
}

at::Tensor folded_fake_quantize(const at::Tensor& w, const at::Tensor& factor,
                                const at::Tensor& scale, QRange range) {
  if (is_plain(w) && w.is_contiguous() && is_plain(factor) && is_plain(scale)) {
    return FoldedWeights::apply(w, factor, scale, range.min, range.max);
  }
  std::vector<int64_t> shape(static_cast<size_t>(w.dim()), 1);
  shape[0] = -1;
  const at::Tensor spread = factor.view(shape), is_zero = spread.eq(0);
  const at::Tensor divisor = at::where(is_zero, at::ones_like(spread), spread);
  const at::Tensor each = scale.numel() == 1 ? scale.expand({w.size(0)}) : scale;
  const at::Tensor zero = at::zeros(each.sizes(), each.options().dtype(at::kInt));
  const at::Tensor quantized = at::fake_quantize_per_channel_affine(w * spread, each.contiguous(),
                                                                    zero, 0, range.min, range.max);
  return at::where(is_zero, w, quantized / divisor);
}

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
