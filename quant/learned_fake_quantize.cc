// LSQ:  y = clip(round(x / s), qmin, qmax) * s, trained through s
// PACT: y = round(clip(x, -alpha, alpha) / s) * s with s = alpha / half_width, trained through
// alpha
#include "fxq/quant/learned_fake_quantize.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/full_like.h>

#include <limits>

namespace fxq {
namespace {

constexpr float kLeast = std::numeric_limits<float>::epsilon();

// An optimizer step may carry a parameter below zero, where no scale can be. Not in place: backward
// refuses a parameter that was written after an earlier call saved it.
void keep_positive(const at::Tensor& parameter) {
  const at::NoGradGuard no_grad;
  if (parameter.lt(kLeast).any().item<bool>()) parameter.set_data(parameter.clamp_min(kLeast));
}

}  // namespace

void LearnedFakeQuantize::observe(const at::Tensor& x) {
  if (fake_quant_enabled() && is_calibrated()) return;
  const bool keeps_alpha = options().alpha && fake_quant_enabled();
  const at::Tensor start = scale().clone();
  FakeQuantize::observe(x);
  if (keeps_alpha) take_scale(start);
}

LsqFakeQuantize::LsqFakeQuantize(FakeQuantizeOptions options, std::shared_ptr<Observer> observer)
    : LearnedFakeQuantize(std::move(options), std::move(observer), true) {}

at::Tensor LsqFakeQuantize::scale() const { return FakeQuantize::scale().clamp_min(kLeast); }

ScaleParameter LsqFakeQuantize::scale_parameter() const {
  if (has_fixed_qparams()) return FakeQuantize::scale_parameter();
  keep_positive(learned_scale());
  return {ScaleRule::kLsq, learned_scale(), options().observer_kwargs.ch_axis};
}

PactFakeQuantize::PactFakeQuantize(FakeQuantizeOptions options, std::shared_ptr<Observer> observer)
    : LearnedFakeQuantize(std::move(options), std::move(observer)) {
  const double start = this->options().alpha.value_or(range().half_width());
  alpha_ = register_parameter("alpha", at::full_like(FakeQuantize::scale(), start));
}

at::Tensor PactFakeQuantize::scale() const {
  return alpha_.detach().clamp_min(kLeast) / range().half_width();
}

void PactFakeQuantize::take_scale(const at::Tensor& scale) {
  FakeQuantize::take_scale(scale);
  alpha_.set_data(scale.detach() * range().half_width());
}

ScaleParameter PactFakeQuantize::scale_parameter() const {
  if (has_fixed_qparams()) return FakeQuantize::scale_parameter();
  keep_positive(alpha_);
  return {ScaleRule::kPact, alpha_, options().observer_kwargs.ch_axis};
}

NamedTensors PactFakeQuantize::tensors() const {
  NamedTensors all = FakeQuantize::tensors();
  all.emplace_back("alpha", alpha_);
  return all;
}

}  // namespace fxq
