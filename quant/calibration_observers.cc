// batch -> range. Where a class has no formula here, range_search.cc has it.
#include "fxq/quant/calibration_observers.h"

#include <ATen/ops/clamp.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/maximum.h>
#include <ATen/ops/minimum.h>
#include <ATen/ops/zeros.h>

#include <array>
#include <limits>

#include "fxq/quant/clip_search.h"
#include "fxq/quant/histogram.h"

namespace fxq {
Observer::Ranges PercentileObserver::batch_ranges(const Batch& batch) const {
  return clipped(batch, [&](int64_t c) {
    const Histogram histogram(batch.row(c), batch.max_abs(c), options().bins);
    return percentile_clip(histogram, options().percentile);
  });
}

MseObserver::MseObserver(ObserverOptions options) : Observer(std::move(options)) {
  const int64_t channels = this->options().channel_len;
  errors_ = add_tensor("errors", at::zeros({channels, kClipSteps}, at::kDouble));
  least_ = add_tensor("least", at::zeros({channels}, at::kFloat));
  greatest_ = add_tensor("greatest", at::zeros({channels}, at::kFloat));
}

// Buffers may be on the model's device; the search is on the host.
Observer::Ranges MseObserver::observe(const Ranges&, const Batch& batch) {
  const double kept = 1 - options().averaging_constant.value_or(0.0);
  const bool is_first = batch.index == 0;
  const at::Tensor errors =
      is_first ? at::zeros({batch.rows.size(0), kClipSteps}, at::kDouble) : errors_.cpu() * kept;
  const at::Tensor least =
      is_first ? batch.seen.min : at::minimum(least_.to(batch.seen.min.device()), batch.seen.min);
  const at::Tensor greatest =
      is_first ? batch.seen.max
               : at::maximum(greatest_.to(batch.seen.max.device()), batch.seen.max);
  const Batch all{batch.rows, {least, greatest}, batch.index};
  const Ranges ranges = clipped(all, [&](int64_t c) {
    const absl::Span<double> sums(errors.data_ptr<double>() + c * kClipSteps, kClipSteps);
    add_clip_errors(batch.row(c), batch.max_abs(c), options().range(), sums);
    return least_clip(sums, all.max_abs(c));
  });
  errors_.set_data(errors.to(errors_.device()));
  least_.set_data(least.to(least_.device()));
  greatest_.set_data(greatest.to(greatest_.device()));
  return ranges;
}

Observer::Ranges KLObserver::batch_ranges(const Batch& batch) const {
  return clipped(batch, [&](int64_t c) {
    const Histogram histogram(batch.row(c), batch.max_abs(c), options().bins);
    return kl_clip(histogram, options().range());
  });
}

Observer::Ranges MixObserver::batch_ranges(const Batch& batch) const {
  constexpr std::array kPercentiles = {100.0, 99.999, 99.99, 99.9, 99.0};
  return clipped(batch, [&](int64_t c) {
    const Histogram histogram(batch.row(c), batch.max_abs(c), options().bins);
    float best = batch.max_abs(c);
    double least = std::numeric_limits<double>::infinity();
    for (double percentile : kPercentiles) {
      const float clip = percentile_clip(histogram, percentile);
      const float scale = symmetric_scale(clip, options().range());
      const double loss = squared_error(batch.row(c), scale, options().range());
      if (loss >= least) continue;
      least = loss;
      best = clip;
    }
    return best;
  });
}

std::pair<at::Tensor, at::Tensor> FixedScaleObserver::calculate_qparams() const {
  auto [scale, zero_point] = Observer::calculate_qparams();
  return {at::full_like(scale, options().scale), zero_point};
}

Observer::Ranges FixedScaleObserver::batch_ranges(const Batch& batch) const {
  const double limit = options().scale * static_cast<double>(options().range().half_width());
  return {at::full_like(batch.seen.min, -limit), at::full_like(batch.seen.max, limit)};
}

Observer::Ranges ClipObserver::batch_ranges(const Batch& batch) const {
  return {at::clamp(batch.seen.min, options().xmin, options().xmax),
          at::clamp(batch.seen.max, options().xmin, options().xmax)};
}

Observer::Ranges ClipStdObserver::batch_ranges(const Batch& batch) const {
  const auto bound = [&](double sign) {
    at::Tensor bounds = at::empty_like(batch.seen.min);
    for (int64_t c = 0; c < bounds.numel(); ++c) {
      const Moments moments = moments_of(batch.row(c));
      bounds[c].fill_(moments.mean + sign * options().std_scale * moments.deviation);
    }
    return bounds;
  };
  return {at::maximum(batch.seen.min, bound(-1)), at::minimum(batch.seen.max, bound(1))};
}

}  // namespace fxq
