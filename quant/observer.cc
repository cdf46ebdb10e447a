// scale = max(|min_val|, |max_val|) / half_width(quant_min, quant_max), at least epsilon
#include "fxq/quant/observer.h"

#include <ATen/ops/amax.h>
#include <ATen/ops/amin.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/maximum.h>
#include <ATen/ops/minimum.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <fmt/format.h>

#include <limits>

#include "fxq/base/check.h"
#include "fxq/base/nearest.h"
#include "fxq/base/status.h"
#include "fxq/graph/float_rows.h"
#include "fxq/quant/clip_search.h"

namespace fxq {

// Buffers are replaced, never written: copies of a module share the old ones.
namespace {

// NaN where a row holds NaN or infinity.
void write_ranges(const FloatRows& rows, float* min, float* max) {
  rows.for_each([&](size_t row) {
    const RowRange range = rows.range(row);
    const float poison = range.is_finite ? 0.0F : std::numeric_limits<float>::quiet_NaN();
    min[row] = range.min + poison;
    max[row] = range.max + poison;
  });
}

}  // namespace

Observer::Ranges Observer::ranges_of(const at::Tensor& rows) {
  const std::optional<FloatRows> dense = FloatRows::of(rows);
  if (!dense) return {at::amin(rows, {1}), at::amax(rows, {1})};
  Ranges ranges{at::empty({rows.size(0)}, rows.options()),
                at::empty({rows.size(0)}, rows.options())};
  write_ranges(*dense, ranges.min.data_ptr<float>(), ranges.max.data_ptr<float>());
  return ranges;
}

Observer::Observer(ObserverOptions options) : options_(std::move(options)) {
  const auto dtype = options_.factory_kwargs.dtype == DType::kF64 ? at::kDouble : at::kFloat;
  const auto floats = at::TensorOptions(dtype).device(options_.factory_kwargs.device);
  const float infinity = std::numeric_limits<float>::infinity();
  min_val_ = register_buffer("min_val", at::full({options_.channel_len}, infinity, floats));
  max_val_ = register_buffer("max_val", at::full({options_.channel_len}, -infinity, floats));
  batches_ = register_buffer("batches", at::zeros({1}, floats.dtype(at::kLong)));
}

at::Tensor Observer::rows_of(const at::Tensor& x) const {
  const at::Tensor floats = x.detach().to(at::kFloat);
  if (!options_.ch_axis) return floats.contiguous().view({1, -1});
  return floats.transpose(0, *options_.ch_axis)
      .contiguous()
      .view({floats.size(*options_.ch_axis), -1});
}

at::Tensor Observer::forward(const at::Tensor& x) {
  TORCH_CHECK(x.is_floating_point(), "an observer wants float tensors and got ", x.dtype());
  if (x.numel() == 0) return x;
  const at::Tensor rows = rows_of(x);
  const Ranges seen = ranges_of(rows);
  const int64_t batch = batches_.item<int64_t>();
  TORCH_CHECK(
      at::isfinite(seen.min).all().item<bool>() && at::isfinite(seen.max).all().item<bool>(),
      "batch ", batch,
      " holds NaN or infinity here; a scale cannot be found. Check the data "
      "and the float model");
  const Ranges range = batch_ranges(rows, seen);
  const Ranges next = batch == 0 ? range : merge({min_val_, max_val_}, range, batch);
  min_val_.set_data(next.min.to(min_val_.options()));
  max_val_.set_data(next.max.to(max_val_.options()));
  batches_.set_data(batches_ + 1);
  return x;
}

Observer::Ranges Observer::batch_ranges(const at::Tensor&, Ranges seen) const { return seen; }

std::pair<at::Tensor, at::Tensor> Observer::calculate_qparams() const {
  const at::Tensor zero_point = at::zeros(min_val_.sizes(), min_val_.options().dtype(at::kInt));
  const auto floats = min_val_.options().dtype(at::kFloat);
  if (!has_data()) return {at::full(min_val_.sizes(), 1.0, floats), zero_point};
  const float half_width = options_.range().half_width();
  const at::Tensor scale = at::maximum(min_val_.abs(), max_val_.abs()).to(floats).div(half_width);
  return {scale.clamp_min(std::numeric_limits<float>::epsilon()), zero_point};
}

bool Observer::has_data() const { return batches_.item<int64_t>() > 0; }

void Observer::reset() {
  const float infinity = std::numeric_limits<float>::infinity();
  min_val_.set_data(at::full_like(min_val_, infinity));
  max_val_.set_data(at::full_like(max_val_, -infinity));
  batches_.set_data(at::zeros_like(batches_));
}

std::vector<std::pair<std::string, at::Tensor>> Observer::tensors() const {
  return {{"min_val", min_val_}, {"max_val", max_val_}, {"batches", batches_}};
}

void Observer::set_tensor(const std::string& name, const at::Tensor& value) {
  for (auto& [key, tensor] : tensors()) {
    if (key == name) return tensor.set_data(value.detach());
  }
  FXQ_CHECK(false, "an observer has no tensor " + name);
}

Observer::Ranges MinMaxObserver::merge(const Ranges& record, const Ranges& batch, int64_t) const {
  return {at::minimum(record.min, batch.min), at::maximum(record.max, batch.max)};
}

Observer::Ranges MovingAverageMinMaxObserver::merge(const Ranges& record, const Ranges& batch,
                                                    int64_t) const {
  const double c = options().averaging_constant.value_or(0.01);
  return {record.min + c * (batch.min - record.min), record.max + c * (batch.max - record.max)};
}

namespace {

ObserverOptions with_axis(ObserverOptions options) {
  if (!options.ch_axis) options.ch_axis = 0;
  return options;
}

}  // namespace

MovingAveragePerChannelMinMaxObserver::MovingAveragePerChannelMinMaxObserver(
    ObserverOptions options)
    : MovingAverageMinMaxObserver(with_axis(std::move(options))) {}

Observer::Ranges MseObserver::batch_ranges(const at::Tensor& rows, Ranges seen) const {
  const at::Tensor limit = at::maximum(seen.min.abs(), seen.max.abs());
  const at::Tensor clip = limit.clone();
  const auto count = static_cast<size_t>(rows.size(1));
  const float* data = rows.data_ptr<float>();
  for (int64_t c = 0; c < rows.size(0); ++c) {
    const absl::Span<const float> row(data + static_cast<size_t>(c) * count, count);
    clip[c].fill_(best_clip(row, limit[c].item<float>(), options().range()));
  }
  return {at::maximum(seen.min, clip.neg()), at::minimum(seen.max, clip)};
}

Observer::Ranges MseObserver::merge(const Ranges& record, const Ranges& batch,
                                    int64_t batches) const {
  const double weight = 1.0 / static_cast<double>(batches + 1);
  return {record.min + weight * (batch.min - record.min),
          record.max + weight * (batch.max - record.max)};
}

namespace {

enum class Scales : uint8_t { kOne, kPerChannel, kEither };

struct ObserverRow {
  const char* name;
  const char* short_name;  // the user guide's
  Scales scales;
  std::shared_ptr<Observer> (*make)(const ObserverOptions&);
};

template <typename T>
std::shared_ptr<Observer> make(const ObserverOptions& options) {
  return std::make_shared<T>(options);
}

constexpr ObserverRow kObservers[] = {
    {"MinMaxObserver", "min_max", Scales::kEither, make<MinMaxObserver>},
    {"MovingAverageMinMaxObserver", "moving_average_min_max", Scales::kOne,
     make<MovingAverageMinMaxObserver>},
    {"MovingAveragePerChannelMinMaxObserver", "moving_average_per_channel_min_max",
     Scales::kPerChannel, make<MovingAveragePerChannelMinMaxObserver>},
    {"MseObserver", "mse", Scales::kEither, make<MseObserver>},
};

// The options with what the class alone knows.
absl::StatusOr<ObserverOptions> resolve(const ObserverRow& row, ObserverOptions options) {
  const bool asks_per_channel = options.ch_axis || options.qscheme == QScheme::kPerChannelSymmetric;
  if (row.scales == Scales::kOne && asks_per_channel) {
    return absl::InvalidArgumentError(
        fmt::format("{} keeps one scale: it takes no ch_axis and no per-channel qscheme; "
                    "MovingAveragePerChannelMinMaxObserver has one for each channel",
                    row.name));
  }
  if (row.scales == Scales::kPerChannel && options.qscheme == QScheme::kPerTensorSymmetric) {
    return absl::InvalidArgumentError(
        fmt::format("{} keeps a scale for each channel; MovingAverageMinMaxObserver has one for "
                    "the tensor",
                    row.name));
  }
  const bool per_channel = row.scales == Scales::kPerChannel || asks_per_channel;
  if (per_channel && !options.ch_axis) options.ch_axis = 0;
  FXQ_RETURN_IF_ERROR(options.validate());
  return options;
}

}  // namespace

absl::StatusOr<std::shared_ptr<Observer>> make_observer(std::string_view name,
                                                        const ObserverOptions& options) {
  std::vector<std::string> known;
  for (const ObserverRow& row : kObservers) {
    if (name == row.name || name == row.short_name) {
      FXQ_ASSIGN_OR_RETURN(const ObserverOptions resolved, resolve(row, options));
      return row.make(resolved);
    }
    known.emplace_back(row.name);
    known.emplace_back(row.short_name);
  }
  return absl::InvalidArgumentError(
      fmt::format("there is no observer '{}'; {}", name, did_you_mean(name, known)));
}

}  // namespace fxq
