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

#include <algorithm>
#include <cmath>
#include <limits>

#include "fxq/base/check.h"
#include "fxq/graph/float_rows.h"
#include "fxq/quant/process_group.h"

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
  return ranges_of(*dense);
}

Observer::Ranges Observer::ranges_of(const FloatRows& rows) {
  const auto count = static_cast<int64_t>(rows.count());
  Ranges ranges{at::empty({count}, at::kFloat), at::empty({count}, at::kFloat)};
  write_ranges(rows, ranges.min.data_ptr<float>(), ranges.max.data_ptr<float>());
  return ranges;
}

Observer::Observer(ObserverOptions options) : options_(std::move(options)) {
  const auto dtype = options_.factory_kwargs.dtype == DType::kF64 ? at::kDouble : at::kFloat;
  const auto floats = at::TensorOptions(dtype).device(options_.factory_kwargs.device);
  const float infinity = std::numeric_limits<float>::infinity();
  min_val_ = add_tensor("min_val", at::full({options_.channel_len}, infinity, floats));
  max_val_ = add_tensor("max_val", at::full({options_.channel_len}, -infinity, floats));
  batches_ = add_tensor("batches", at::zeros({1}, floats.dtype(at::kLong)));
}

at::Tensor Observer::add_tensor(const std::string& name, const at::Tensor& value) {
  return tensors_.emplace_back(name, register_buffer(name, value)).second;
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
  const at::Tensor rows = reads_values() ? rows_of(x).cpu() : rows_of(x);
  record(rows, ranges_of(rows));
  return x;
}

void Observer::observe_rows(const FloatRows& rows) {
  FXQ_CHECK(!reads_values(), "an observer that reads values needs a tensor");
  record({}, ranges_of(rows));
}

void Observer::record(const at::Tensor& rows, Ranges seen) {
  const int64_t batch = batches_.item<int64_t>();
  TORCH_CHECK(
      at::isfinite(seen.min).all().item<bool>() && at::isfinite(seen.max).all().item<bool>(),
      "batch ", batch,
      " holds NaN or infinity here; a scale cannot be found. Check the data "
      "and the float model");
  TORCH_CHECK(batch == 0 || seen.min.numel() == min_val_.numel(), "batch ", batch, " has ",
              seen.min.numel(), " channels here (ch_axis ", options_.ch_axis.value_or(0),
              "); the ones before it had ", min_val_.numel());
  if (options_.is_sync_quantize) synchronize(seen);
  const c10::Device device = seen.min.device();
  const Ranges next = observe({min_val_.to(device), max_val_.to(device)}, {rows, seen, batch});
  min_val_.set_data(next.min.to(min_val_.options()));
  max_val_.set_data(next.max.to(max_val_.options()));
  batches_.set_data(batches_ + 1);
}

void Observer::synchronize(Ranges& seen) {
  const auto group = process_group();
  if (!group) return;
  for (auto [tensor, reduction] : {std::pair(&seen.min, ProcessGroup::Reduction::kMin),
                                   std::pair(&seen.max, ProcessGroup::Reduction::kMax)}) {
    const absl::Status reduced = group->all_reduce(*tensor, reduction);
    TORCH_CHECK(reduced.ok(), "is_sync_quantize: ", std::string(reduced.message()));
  }
}

absl::Span<const float> Observer::Batch::row(int64_t c) const {
  const auto width = static_cast<size_t>(rows.size(1));
  return {rows.data_ptr<float>() + static_cast<size_t>(c) * width, width};
}

float Observer::Batch::max_abs(int64_t c) const {
  return std::max(std::abs(seen.min[c].item<float>()), std::abs(seen.max[c].item<float>()));
}

Observer::Ranges Observer::observe(const Ranges& record, const Batch& batch) {
  const Ranges range = batch_ranges(batch);
  return batch.index == 0 ? range : merge(record, range, batch.index);
}

Observer::Ranges Observer::merge(const Ranges& record, const Ranges& range, int64_t batches) const {
  const double equal = 1.0 / static_cast<double>(batches + 1);
  return average(record, range, options_.averaging_constant.value_or(equal));
}

Observer::Ranges Observer::average(const Ranges& record, const Ranges& range, double c) {
  return {record.min + c * (range.min - record.min), record.max + c * (range.max - record.max)};
}

Observer::Ranges Observer::clipped(const Batch& batch,
                                   const std::function<float(int64_t c)>& clip) {
  at::Tensor clips = at::empty({batch.rows.size(0)}, at::kFloat);
  for (int64_t c = 0; c < clips.numel(); ++c) clips.data_ptr<float>()[c] = clip(c);
  return {at::maximum(batch.seen.min, clips.neg()), at::minimum(batch.seen.max, clips)};
}

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
  for (auto& [name, tensor] : tensors_) {
    if (!tensor.is_same(min_val_) && !tensor.is_same(max_val_)) {
      tensor.set_data(at::zeros_like(tensor));
    }
  }
}

void Observer::set_tensor(const std::string& name, const at::Tensor& value) {
  for (auto& [key, tensor] : tensors_) {
    if (key == name) return tensor.set_data(value.detach());
  }
  FXQ_CHECK(false, "an observer has no tensor " + name);
}

Observer::Ranges MinMaxObserver::merge(const Ranges& record, const Ranges& batch, int64_t) const {
  return {at::minimum(record.min, batch.min), at::maximum(record.max, batch.max)};
}

Observer::Ranges MovingAverageMinMaxObserver::merge(const Ranges& record, const Ranges& range,
                                                    int64_t) const {
  return average(record, range, options().averaging_constant.value_or(0.01));
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

}  // namespace fxq
