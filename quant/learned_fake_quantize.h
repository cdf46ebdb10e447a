// Fake quantizers whose scale is a parameter that trains with the weights: LSQ and PACT. The first
// batch (or calibration) sets it, from then on the optimizer does: the observer is not asked again.
// While only observing (calibration) they follow the observer as FakeQuantize does.
#pragma once

#include <memory>
#include <string>

#include "fxq/quant/fake_quantize.h"

namespace fxq {

class LearnedFakeQuantize : public FakeQuantize {
 public:
  using FakeQuantize::FakeQuantize;
  void observe(const at::Tensor& x) override;
};

// LSQ (arXiv 1902.08153): the step itself is learned. Formulas of both: gradients.h.
class LsqFakeQuantize : public LearnedFakeQuantize {
 public:
  LsqFakeQuantize(FakeQuantizeOptions options, std::shared_ptr<Observer> observer);
  at::Tensor scale() const override;

 protected:
  ScaleParameter scale_parameter() const override;
};

// PACT (arXiv 1805.06085): the clip alpha is learned, scale = alpha / half_width. It starts at the
// option `alpha`, without one at what the first batch holds.
class PactFakeQuantize : public LearnedFakeQuantize {
 public:
  PactFakeQuantize(FakeQuantizeOptions options, std::shared_ptr<Observer> observer);
  at::Tensor scale() const override;
  NamedTensors tensors() const override;

 protected:
  void take_scale(const at::Tensor& scale) override;
  ScaleParameter scale_parameter() const override;

 private:
  at::Tensor alpha_;
};

}  // namespace fxq
