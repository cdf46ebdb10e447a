// Custom autograd functions over the loops of fake_quantize_rows.h. A tensor is cut into pieces,
// runs of values that share a scale, as its shape says; sums over pieces are added in their order.
#include "fxq/quant/gradients.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/_fake_quantize_learnable_per_channel_affine.h>
#include <ATen/ops/_fake_quantize_learnable_per_tensor_affine.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/fake_quantize_per_channel_affine.h>
#include <ATen/ops/fake_quantize_per_tensor_affine.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cmath>

namespace fxq {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr int64_t kGrain = 1 << 15;  // values worth a thread
constexpr int64_t kPiece = 1 << 12;  // values that are summed in floats

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

// A tensor with the strides of x.
at::Tensor laid_out_as(const at::Tensor& x, const at::Tensor& g) {
  return is_plain(g) && g.strides() == x.strides() ? g : at::empty_like(x).copy_(g);
}

struct Piece {
  int64_t index = 0, channel = 0;
  size_t first = 0, count = 0;
};

// The values of a tensor [outer, channels, inner], or of any dense one if there is one channel.
struct Pieces {
  int64_t channels = 1, inner = 1, rows = 1, per_row = 1;

  Pieces(const at::Tensor& x, std::optional<int64_t> axis) : inner(x.numel()) {
    if (axis) {
      channels = x.size(*axis);
      inner = 1;
      for (int64_t d = *axis + 1; d < x.dim(); ++d) inner *= x.size(d);
      rows = x.numel() / inner;
    }
    per_row = (inner + kPiece - 1) / kPiece;
  }

  int64_t count() const { return rows * per_row; }

  template <typename Work>
  void each(const Work& work) const {
    at::parallel_for(0, count(), std::max<int64_t>(1, kGrain / std::min(inner, kPiece)),
                     [&](int64_t begin, int64_t end) {
                       for (int64_t i = begin; i < end; ++i) work(piece(i));
                     });
  }

  Piece piece(int64_t i) const {
    const int64_t row = i / per_row, at = i % per_row * kPiece;
    return {i, row % channels, static_cast<size_t>(row * inner + at),
            static_cast<size_t>(std::min(kPiece, inner - at))};
  }
};

// What a function keeps for its way back, beside its tensors.
struct Settings {
  ScaleRule rule;
  int64_t low, high;
  std::optional<int64_t> axis;
  double lsq_factor;

  Settings(const at::Tensor& x, const ScaleParameter& scale, QRange range)
      : rule(scale.rule),
        low(range.min),
        high(range.max),
        axis(scale.axis),
        lsq_factor(lsq_gradient_factor(x, range, scale.axis)) {}
  explicit Settings(AutogradContext* context)
      : rule(static_cast<ScaleRule>(context->saved_data["rule"].toInt())),
        low(context->saved_data["low"].toInt()),
        high(context->saved_data["high"].toInt()),
        axis(axis_of(context->saved_data["axis"])),
        lsq_factor(context->saved_data["lsq_factor"].toDouble()) {}

  void save(AutogradContext* context) const {
    context->saved_data["rule"] = static_cast<int64_t>(rule);
    context->saved_data["low"] = low;
    context->saved_data["high"] = high;
    context->saved_data["axis"] = axis ? c10::IValue(*axis) : c10::IValue();
    context->saved_data["lsq_factor"] = lsq_factor;
  }

  QRange range() const { return {static_cast<int>(low), static_cast<int>(high)}; }
  static std::optional<int64_t> axis_of(const c10::IValue& saved) {
    return saved.isNone() ? std::nullopt : std::optional<int64_t>(saved.toInt());
  }
  Pieces pieces(const at::Tensor& x) const { return {x, axis}; }
  // f32[C] or f32[1]
  at::Tensor scales(const at::Tensor& parameter) const {
    return rule == ScaleRule::kPact ? parameter / range().half_width() : parameter;
  }
  FakeQuantRow row(const at::Tensor& scales, int64_t channel) const {
    return {scales.data_ptr<float>()[scales.numel() == 1 ? 0 : channel], static_cast<float>(low),
            static_cast<float>(high)};
  }
  RowGradients gradients(absl::Span<const float> x, absl::Span<const float> g, float factor,
                         const FakeQuantRow& to, float parameter, absl::Span<float> gx) const {
    switch (rule) {
      case ScaleRule::kLsq:
        return lsq_gradient_row(x, g, factor, to, gx);
      case ScaleRule::kPact:
        return pact_gradient_row(x, g, factor, to, parameter, gx);
      case ScaleRule::kFixed:
        break;
    }
    return folded_gradient_row(x, g, factor, to, gx);
  }
  // The gradient of the parameter, or none if it has none.
  at::Tensor of_parameter(const at::Tensor& parameter, const Pieces& pieces,
                          const std::vector<double>& sums) const {
    if (rule == ScaleRule::kFixed) return {};
    std::vector<double> totals(static_cast<size_t>(parameter.numel()), 0.0);
    for (size_t i = 0; i < sums.size(); ++i) {
      const int64_t channel = pieces.piece(static_cast<int64_t>(i)).channel;
      totals[totals.size() == 1 ? 0 : static_cast<size_t>(channel)] += sums[i];
    }
    at::Tensor gradient = at::zeros_like(parameter);
    const double factor = rule == ScaleRule::kLsq ? lsq_factor : 1.0;
    for (size_t i = 0; i < totals.size(); ++i) {
      gradient.data_ptr<float>()[i] = static_cast<float>(totals[i] * factor);
    }
    return gradient;
  }
};

// One scale, or one for each index of the axis.
void check_scales(const at::Tensor& x, const ScaleParameter& scale) {
  const int64_t count = scale.parameter.numel();
  if (!scale.axis) {
    TORCH_CHECK(count == 1, "fake quantization without ch_axis wants 1 scale and has ", count);
    return;
  }
  const int axis = *scale.axis;
  TORCH_CHECK(axis >= 0 && axis < x.dim(), "ch_axis ", axis, " is no dimension of a tensor of ",
              x.dim(), " dimensions");
  TORCH_CHECK(count == x.size(axis), "fake quantization of ", x.size(axis), " channels (ch_axis ",
              axis, ") has ", count, " scales; observe such data first, or give channel_len");
}

struct FakeQuantizeTensor : torch::autograd::Function<FakeQuantizeTensor> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x,
                            const at::Tensor& parameter, const Settings& settings) {
    context->save_for_backward({x, parameter});
    settings.save(context);
    at::Tensor y = at::empty_like(x);
    const at::Tensor scales = settings.scales(parameter);
    const auto in = values(x);
    const auto out = values_of(y);
    settings.pieces(x).each([&](const Piece& p) {
      fake_quantize_row(in.subspan(p.first, p.count), settings.row(scales, p.channel),
                        out.subspan(p.first, p.count));
    });
    return y;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const Settings settings(context);
    const auto saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &parameter = saved[1];
    const at::Tensor g = laid_out_as(x, gradients[0]);
    const at::Tensor scales = settings.scales(parameter);
    at::Tensor gx = at::empty_like(x);
    const Pieces pieces = settings.pieces(x);
    const bool learns = settings.rule != ScaleRule::kFixed;
    std::vector<double> sums(learns ? static_cast<size_t>(pieces.count()) : 0);
    const auto in = values(x), from = values(g), limits = values(parameter);
    const auto out = values_of(gx);
    pieces.each([&](const Piece& p) {
      const FakeQuantRow to = settings.row(scales, p.channel);
      const auto x_part = in.subspan(p.first, p.count), g_part = from.subspan(p.first, p.count);
      const auto to_part = out.subspan(p.first, p.count);
      if (!learns) return fake_quantize_gradient_row(x_part, g_part, to, to_part);
      const float limit = limits[limits.size() == 1 ? 0 : static_cast<size_t>(p.channel)];
      sums[static_cast<size_t>(p.index)] =
          settings.gradients(x_part, g_part, 1.0F, to, limit, to_part).scale;
    });
    return {gx, settings.of_parameter(parameter, pieces, sums), at::Tensor()};
  }
};

struct FoldedWeights : torch::autograd::Function<FoldedWeights> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& w, const at::Tensor& factor,
                            const at::Tensor& parameter, const Settings& settings) {
    context->save_for_backward({w, factor, parameter});
    settings.save(context);
    at::Tensor y = at::empty_like(w, at::MemoryFormat::Contiguous);
    const at::Tensor scales = settings.scales(parameter);
    const auto in = values(w), factors = values(factor);
    const auto out = values_of(y);
    Pieces(w, 0).each([&](const Piece& p) {
      folded_row(in.subspan(p.first, p.count), factors[static_cast<size_t>(p.channel)],
                 settings.row(scales, p.channel), out.subspan(p.first, p.count));
    });
    return y;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const Settings settings(context);
    const auto saved = context->get_saved_variables();
    const at::Tensor &w = saved[0], &factor = saved[1], &parameter = saved[2];
    const at::Tensor g = gradients[0].contiguous(), scales = settings.scales(parameter);
    at::Tensor gw = at::empty_like(w), by_factor = at::zeros_like(factor);
    const Pieces pieces(w, 0);
    std::vector<double> factor_sums(static_cast<size_t>(pieces.count())),
        scale_sums(factor_sums.size());
    const auto in = values(w), from = values(g), factors = values(factor);
    const auto limits = values(parameter);
    const auto out = values_of(gw);
    pieces.each([&](const Piece& p) {
      const auto channel = static_cast<size_t>(p.channel), index = static_cast<size_t>(p.index);
      const auto g_part = from.subspan(p.first, p.count);
      const auto to_part = out.subspan(p.first, p.count);
      if (factors[channel] == 0) {
        std::copy(g_part.begin(), g_part.end(), to_part.begin());
        return;
      }
      const RowGradients sums = settings.gradients(
          in.subspan(p.first, p.count), g_part, factors[channel], settings.row(scales, p.channel),
          limits[limits.size() == 1 ? 0 : channel], to_part);
      factor_sums[index] = sums.factor;
      scale_sums[index] = sums.scale;
    });
    std::vector<double> totals(factors.size(), 0.0);
    for (size_t i = 0; i < factor_sums.size(); ++i) {
      totals[static_cast<size_t>(pieces.piece(static_cast<int64_t>(i)).channel)] += factor_sums[i];
    }
    for (size_t i = 0; i < totals.size(); ++i) {
      by_factor.data_ptr<float>()[i] = static_cast<float>(totals[i]);
    }
    return {gw, by_factor, settings.of_parameter(parameter, pieces, scale_sums), at::Tensor()};
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

// PACT by ATen's operators: the clip in autograd, the rounding straight through.
at::Tensor pact_through_aten(const at::Tensor& x, const ScaleParameter& scale, QRange range) {
  at::Tensor alpha = scale.parameter.to(x.scalar_type());
  if (scale.axis) {
    std::vector<int64_t> shape(static_cast<size_t>(x.dim()), 1);
    shape[static_cast<size_t>(*scale.axis)] = -1;
    alpha = alpha.view(shape);
  }
  const at::Tensor above = x.ge(alpha), below = x.le(-alpha);
  const at::Tensor clipped = at::where(above, alpha, at::where(below, -alpha, x));
  const ScaleParameter fixed{ScaleRule::kFixed, scale.parameter.detach() / range.half_width(),
                             scale.axis};
  return straight_through(clipped, fake_quantize(x.detach(), fixed, range));
}

at::Tensor through_aten(const at::Tensor& x, const ScaleParameter& scale, QRange range) {
  const at::Tensor& step = scale.parameter;
  if (scale.rule == ScaleRule::kPact) return pact_through_aten(x, scale, range);
  if (scale.rule == ScaleRule::kLsq) {
    const at::Tensor zero = at::zeros_like(step).detach();
    const double factor = lsq_gradient_factor(x, range, scale.axis);
    if (!scale.axis) {
      return at::_fake_quantize_learnable_per_tensor_affine(x, step, zero, range.min, range.max,
                                                            factor);
    }
    return at::_fake_quantize_learnable_per_channel_affine(x, step, zero, *scale.axis, range.min,
                                                           range.max, factor);
  }
  const at::Tensor fixed = step.detach();
  const at::Tensor zero = at::zeros(fixed.sizes(), fixed.options().dtype(at::kInt));
  if (!scale.axis) {
    return at::fake_quantize_per_tensor_affine(x, fixed, zero, range.min, range.max);
  }
  return at::fake_quantize_per_channel_affine(x, fixed, zero, *scale.axis, range.min, range.max);
}

}  // namespace

at::Tensor fake_quantize(const at::Tensor& x, const ScaleParameter& scale, QRange range) {
  check_scales(x, scale);
  const bool is_fast =
      is_plain(x) && is_plain(scale.parameter) && (!scale.axis || x.is_contiguous());
  if (!is_fast) return through_aten(x, scale, range);
  return FakeQuantizeTensor::apply(x, scale.parameter, Settings(x, scale, range));
}

at::Tensor folded_fake_quantize(const at::Tensor& w, const at::Tensor& factor,
                                const ScaleParameter& scale, QRange range) {
  check_scales(w, scale);
  TORCH_CHECK(w.dim() > 0 && factor.numel() == w.size(0), "weights with ", factor.numel(),
              " factors, one for each row, are ", w.sizes());
  const bool is_fast = is_plain(w) && w.is_contiguous() && is_plain(factor) &&
                       is_plain(scale.parameter) && scale.axis.value_or(0) == 0;
  if (is_fast) {
    return FoldedWeights::apply(w, factor, scale.parameter, Settings(w, scale, range));
  }
  std::vector<int64_t> shape(static_cast<size_t>(w.dim()), 1);
  shape[0] = -1;
  const at::Tensor spread = factor.view(shape), is_zero = spread.eq(0);
  const at::Tensor divisor = at::where(is_zero, at::ones_like(spread), spread);
  return at::where(is_zero, w, fake_quantize(w * spread, scale, range) / divisor);
}

at::Tensor straight_through(const at::Tensor& x, const at::Tensor& y) {
  return StraightThrough::apply(x, y);
}

double lsq_gradient_factor(const at::Tensor& x, QRange range, std::optional<int> axis) {
  const int64_t values = axis ? x.numel() / std::max<int64_t>(1, x.size(*axis)) : x.numel();
  return 1.0 / std::sqrt(static_cast<double>(std::max<int64_t>(1, values)) * range.max);
}

}  // namespace fxq
