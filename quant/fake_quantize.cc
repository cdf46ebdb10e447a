// y = (clamp(round(x * (1 / scale)), quant_min, quant_max)) * scale
#include "fxq/quant/fake_quantize.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <fmt/format.h>

#include "fxq/base/check.h"
#include "fxq/base/status.h"
#include "fxq/quant/learned_fake_quantize.h"

namespace fxq {
namespace {

constexpr const char* kFixed = "fixed_qparams";

at::Tensor flag(bool on, const std::string& device) {
  return at::full({1}, on ? 1 : 0, at::TensorOptions(at::kByte).device(device));
}

}  // namespace

absl::StatusOr<std::shared_ptr<FakeQuantize>> FakeQuantize::create(FakeQuantizeOptions options) {
  FXQ_ASSIGN_OR_RETURN(auto observer, make_observer(options.observer, options.observer_kwargs));
  options.observer = std::string(observer->class_name());
  options.observer_kwargs = observer->options();
  FXQ_RETURN_IF_ERROR(options.check_type());
  if (options.type == kLsq) {
    return std::make_shared<LsqFakeQuantize>(std::move(options), std::move(observer));
  }
  if (options.type == kPact) {
    return std::make_shared<PactFakeQuantize>(std::move(options), std::move(observer));
  }
  return std::shared_ptr<FakeQuantize>(new FakeQuantize(std::move(options), std::move(observer)));
}

absl::StatusOr<FakeQuantizeFactory> FakeQuantize::with_args(const QKwargs& kwargs) {
  return FakeQuantizeFactory().with_args(kwargs);
}

FakeQuantize::FakeQuantize(FakeQuantizeOptions options, std::shared_ptr<Observer> observer,
                           bool learns_scale)
    : LeafModule(options.class_name()),
      options_(std::move(options)),
      observer_(std::move(observer)) {
  const std::string& device = options_.observer_kwargs.factory_kwargs.device;
  const auto floats = at::TensorOptions(at::kFloat).device(device);
  const int64_t channels = options_.observer_kwargs.channel_len;
  const at::Tensor one = at::ones({channels}, floats);
  scale_ = learns_scale ? register_parameter("scale", one) : register_buffer("scale", one);
  zero_point_ = register_buffer("zero_point", at::zeros({channels}, floats.dtype(at::kInt)));
  fake_quant_enabled_ = register_buffer("fake_quant_enabled", flag(!options_.calibration, device));
  observer_enabled_ = register_buffer("observer_enabled", flag(true, device));
  register_module("observer", observer_);
}

absl::StatusOr<std::shared_ptr<FakeQuantize>> FakeQuantizeFactory::operator()() const {
  return FakeQuantize::create(options_);
}

void FakeQuantize::observe(const at::Tensor& x) {
  const at::NoGradGuard no_grad;
  if (is_frozen()) return;
  observer_->forward(x);
  take_qparams();
}

bool FakeQuantize::observes_rows() const {
  return options_.type == kFakeQuant && options_.observer_kwargs.ch_axis == 0 &&
         !observer_->reads_values();
}

void FakeQuantize::observe_rows(const FloatRows& rows) {
  const at::NoGradGuard no_grad;
  if (is_frozen()) return;
  observer_->observe_rows(rows);
  take_qparams();
}

bool FakeQuantize::is_frozen() const {
  return options_.observer_kwargs.averaging_constant == 0.0 && observer_->has_data();
}

void FakeQuantize::take_qparams() {
  const auto qparams = observer_->calculate_qparams();
  take_scale(qparams.first);
  zero_point_.set_data(qparams.second);
}

void FakeQuantize::take_scale(const at::Tensor& scale) { scale_.set_data(scale.detach()); }

bool FakeQuantize::start_from(const FakeQuantize& calibrated) {
  const at::Tensor scale = calibrated.scale();
  if (!calibrated.is_calibrated() || scale.numel() != scale_.numel()) return false;
  const float ratio = calibrated.range().half_width() / range().half_width();
  const at::Tensor mine = scale.to(scale_.options()) * ratio;
  if (calibrated.has_fixed_qparams()) return set_qparams(mine).ok();
  const at::Tensor max = mine * range().half_width();
  for (const auto& [name, current] : observer_->tensors()) {
    if (name == "max_val") observer_->set_tensor(name, max.to(current.options()));
    if (name == "min_val") {
      observer_->set_tensor(name, (range().min < 0 ? -max : max * 0).to(current.options()));
    }
    if (name == "batches") observer_->set_tensor(name, at::ones_like(current));
  }
  take_scale(mine);
  return true;
}

at::Tensor FakeQuantize::forward(const at::Tensor& x) {
  if (observer_enabled()) observe(x);
  if (!fake_quant_enabled()) return x;
  const bool needs_gradient = at::GradMode::is_enabled() && x.requires_grad();
  if (needs_gradient && options_.saturate == false) {
    return straight_through(x, quantized(x.detach()));
  }
  at::Tensor y = quantized(x);
  if (options_.in_place && !needs_gradient) return at::Tensor(x).copy_(y);
  return y;
}

at::Tensor FakeQuantize::quantized(const at::Tensor& x) const {
  return fake_quantize(x, scale_parameter(), range());
}

at::Tensor FakeQuantize::quantized_folded(const at::Tensor& w, const at::Tensor& factor) const {
  return folded_fake_quantize(w, factor, scale_parameter(), range());
}

ScaleParameter FakeQuantize::scale_parameter() const {
  return {ScaleRule::kFixed, scale_.detach(), options_.observer_kwargs.ch_axis};
}

// A new tensor each time: copies of this module share the old one.
void FakeQuantize::enable_observer(bool on) {
  if (on) fixed_ = false;
  observer_enabled_.set_data(flag(on, observer_enabled_.device().str()));
}

void FakeQuantize::enable_fake_quant(bool on) {
  fake_quant_enabled_.set_data(flag(on, fake_quant_enabled_.device().str()));
}

bool FakeQuantize::observer_enabled() const { return observer_enabled_.item<uint8_t>() != 0; }

bool FakeQuantize::fake_quant_enabled() const { return fake_quant_enabled_.item<uint8_t>() != 0; }

absl::Status FakeQuantize::set_qparams(const at::Tensor& scale, const at::Tensor& zero_point) {
  const bool right_size = scale.defined() && scale.numel() == scale_.numel();
  if (!right_size || !(scale > 0).all().item<bool>() || !scale.isfinite().all().item<bool>()) {
    return absl::InvalidArgumentError(
        fmt::format("set_qparams wants {} positive, finite scales", scale_.numel()));
  }
  if (zero_point.defined() && zero_point.ne(0).any().item<bool>()) {
    return absl::InvalidArgumentError(
        "set_qparams: quantization is symmetric here; zero_point must be 0");
  }
  take_scale(scale.detach().to(scale_.options()).reshape(scale_.sizes()).clone());
  zero_point_.set_data(at::zeros_like(zero_point_));
  enable_observer(false);
  fixed_ = true;
  return absl::OkStatus();
}

absl::Status FakeQuantize::set_qparams(const std::vector<double>& scale,
                                       const std::vector<int64_t>& zero_point) {
  if (!zero_point.empty() && zero_point.size() != scale.size()) {
    return absl::InvalidArgumentError(
        fmt::format("set_qparams: {} scales and {} zero points", scale.size(), zero_point.size()));
  }
  return set_qparams(at::tensor(scale, at::kDouble),
                     zero_point.empty() ? at::Tensor() : at::tensor(zero_point, at::kLong));
}

absl::Status FakeQuantize::set_qparams(double scale, int zero_point) {
  return set_qparams(at::full(scale_.sizes(), scale, scale_.options()),
                     at::full(scale_.sizes(), zero_point, zero_point_.options()));
}

std::string FakeQuantize::extra_repr() const {
  std::string text = fmt::format("fake_quant_enabled={}, observer_enabled={}", fake_quant_enabled(),
                                 observer_enabled());
  const QRange range = options_.observer_kwargs.range();
  text += fmt::format(", quant_min={}, quant_max={}, dtype={}", range.min, range.max,
                      qdtype_name(dtype()));
  const std::optional<int>& axis = options_.observer_kwargs.ch_axis;
  const QScheme qscheme = axis ? QScheme::kPerChannelSymmetric : QScheme::kPerTensorSymmetric;
  text += fmt::format(", qscheme={}", qscheme_name(qscheme));
  if (axis) text += fmt::format(", ch_axis={}", *axis);
  if (options_.saturate) text += fmt::format(", saturate={}", *options_.saturate);
  if (options_.in_place) text += ", in_place=true";
  text += fmt::format(", observer={}", observer_->class_name());
  if (scale_.numel() != 1) return text + fmt::format(", scale of {} channels", scale_.numel());
  return text +
         fmt::format(", scale={}, zero_point={}", scale().item<float>(), zero_point().item<int>());
}

c10::IValue FakeQuantize::call(const std::string& method, std::vector<c10::IValue> inputs) {
  TORCH_CHECK(method == "forward", "FakeQuantize has no method '", method, "'");
  TORCH_CHECK(inputs.size() == 1 && inputs[0].isTensor(), "FakeQuantize wants one tensor");
  return forward(inputs[0].toTensor());
}

NamedTensors FakeQuantize::tensors() const {
  NamedTensors result{{"scale", scale_},
                      {"zero_point", zero_point_},
                      {"fake_quant_enabled", fake_quant_enabled_},
                      {"observer_enabled", observer_enabled_}};
  for (auto& entry : observer_->tensors()) result.push_back(std::move(entry));
  return result;
}

NamedAttributes FakeQuantize::attributes() const {
  NamedAttributes attributes = options_.to_kwargs();
  if (fixed_) attributes.emplace_back(kFixed, true);
  return attributes;
}

std::shared_ptr<LeafModule> FakeQuantize::clone_leaf() const {
  auto copy = create(options_);
  FXQ_CHECK(copy.ok(), std::string(copy.status().message()));
  for (const auto& [name, tensor] : tensors()) (*copy)->set_tensor(name, tensor);
  (*copy)->fixed_ = fixed_;
  (*copy)->train(is_training());
  return *std::move(copy);
}

// Replaces the handle's data, so that a copy's observer never writes into this one's.
void FakeQuantize::set_tensor(const std::string& name, at::Tensor tensor) {
  for (const auto& [key, current] : tensors()) {
    if (key == name) return current.set_data(tensor.detach());
  }
  FXQ_CHECK(false, "FakeQuantize has no tensor " + name);
}

absl::StatusOr<std::shared_ptr<LeafModule>> read_fake_quantize(const NamedTensors& tensors,
                                                               const NamedAttributes& attributes) {
  FakeQuantizeOptions options;
  QKwargs kwargs;
  bool fixed = false;
  for (const auto& [name, value] : attributes) {
    if (name == kFixed)
      fixed = value == Argument(true);
    else
      kwargs.emplace_back(name, value);
  }
  FXQ_RETURN_IF_ERROR(options.apply(kwargs));
  FXQ_ASSIGN_OR_RETURN(auto module, FakeQuantize::create(std::move(options)));
  for (const auto& [name, tensor] : tensors) {
    at::Tensor current;
    for (const auto& [key, own] : module->tensors()) current = key == name ? own : current;
    if (!current.defined() || !tensor.defined() || current.sizes() != tensor.sizes() ||
        current.scalar_type() != tensor.scalar_type()) {
      return absl::InvalidArgumentError(
          fmt::format("fake_quantize: tensor '{}' is unknown or of another type", name));
    }
    module->set_tensor(name, tensor);
  }
  module->fixed_ = fixed;
  return module;
}

}  // namespace fxq
