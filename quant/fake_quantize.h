// FakeQuantize: a leaf module that observes a value and, when enabled, replaces it by what its
// integers can represent: (clamp(round(x * (1/scale)), quant_min, quant_max)) * scale, as ATen's
// fake_quantize kernels compute it. Text kind "fake_quantize"; its state is in registered buffers,
// so a prepared graph saves and resumes completely. Its scale follows the observer; those whose
// scale is a parameter: learned_fake_quantize.h.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "fxq/graph/leaf_module.h"
#include "fxq/quant/fake_quantize_options.h"
#include "fxq/quant/gradients.h"
#include "fxq/quant/observer.h"

namespace fxq {

class FakeQuantize : public LeafModule {
 public:
  // Of the class that `options.type` names.
  static absl::StatusOr<std::shared_ptr<FakeQuantize>> create(FakeQuantizeOptions options = {});
  // The page's with_args: FakeQuantize::with_args({{"averaging_constant", 0.1}})->with_args(...).
  static absl::StatusOr<FakeQuantizeFactory> with_args(const QKwargs& kwargs);

  at::Tensor forward(const at::Tensor& x);
  // Records x and takes the observer's scale, whatever the flags say. Throws what the observer
  // does. With averaging_constant 0 the first data decides for good.
  virtual void observe(const at::Tensor& x);
  // The same from rows that need not exist as a tensor: channel axis 0, an observer that asks for
  // ranges only.
  bool observes_rows() const;
  void observe_rows(const FloatRows& rows);
  // What the integers of the present scale make of x, whatever the flags say.
  at::Tensor quantized(const at::Tensor& x) const;
  // quantized(w * factor) / factor, for a weight whose batch norm trains: folded_fake_quantize.
  at::Tensor quantized_folded(const at::Tensor& w, const at::Tensor& factor) const;

  // Turning it on takes back set_qparams: the next batch decides.
  void enable_observer(bool on);
  void enable_fake_quant(bool on);
  bool observer_enabled() const;
  bool fake_quant_enabled() const;

  // Sets the scale(s) by hand, zero point 0 by default, and turns the observer off.
  // set_fake_quantize leaves such a module's observer off.
  absl::Status set_qparams(const at::Tensor& scale, const at::Tensor& zero_point = {});
  absl::Status set_qparams(const std::vector<double>& scale,
                           const std::vector<int64_t>& zero_point = {});
  absl::Status set_qparams(double scale, int zero_point = 0);
  bool has_fixed_qparams() const { return fixed_; }
  // False if scale is still the initial 1.0, which no data and nobody has confirmed.
  bool is_calibrated() const { return fixed_ || observer_->has_data(); }
  // Goes on from the scale of another one, as if a batch had shown it: calibration before training.
  // False, and nothing changes, if that one has no scale yet or another number of channels.
  bool start_from(const FakeQuantize& calibrated);

  virtual at::Tensor scale() const { return scale_.detach(); }  // f32[C]
  at::Tensor zero_point() const { return zero_point_; }         // i32[C]
  DType dtype() const { return options_.observer_kwargs.dtype; }
  QRange range() const { return options_.observer_kwargs.range(); }
  const FakeQuantizeOptions& options() const { return options_; }
  const std::shared_ptr<Observer>& observer() const { return observer_; }
  std::string extra_repr() const;

  // -- LeafModule
  c10::IValue call(const std::string& method, std::vector<c10::IValue> inputs) override;
  std::string kind() const override { return "fake_quantize"; }
  NamedTensors tensors() const override;
  NamedAttributes attributes() const override;
  std::shared_ptr<LeafModule> clone_leaf() const override;
  void set_tensor(const std::string& name, at::Tensor tensor) override;

 protected:
  // Of an observer that was made with options.observer_kwargs: create() sees to that. learns_scale:
  // the scale is a parameter.
  FakeQuantize(FakeQuantizeOptions options, std::shared_ptr<Observer> observer,
               bool learns_scale = false);
  virtual void take_scale(const at::Tensor& scale);
  virtual ScaleParameter scale_parameter() const;
  at::Tensor learned_scale() const { return scale_; }

 private:
  bool is_frozen() const;
  void take_qparams();

  FakeQuantizeOptions options_;
  std::shared_ptr<Observer> observer_;
  at::Tensor scale_, zero_point_, fake_quant_enabled_, observer_enabled_;
  bool fixed_ = false;

  friend absl::StatusOr<std::shared_ptr<LeafModule>> read_fake_quantize(const NamedTensors&,
                                                                        const NamedAttributes&);
};

// Rebuilds one from its text form.
absl::StatusOr<std::shared_ptr<LeafModule>> read_fake_quantize(const NamedTensors& tensors,
                                                               const NamedAttributes& attributes);

}  // namespace fxq
