// The observers of calibration: most find, per batch, the range that is worth keeping, and average
// it over the batches (with averaging_constant, if it is given); MseObserver weighs all batches
// together. Memory does not grow with the data; answers do not depend on threads.
#pragma once

#include "fxq/quant/observer.h"

namespace fxq {

// What `percentile` percent of |x| do not pass, from `bins` bins.
class PercentileObserver : public Observer {
 public:
  using Observer::Observer;
  std::string_view class_name() const override { return "PercentileObserver"; }

 protected:
  Ranges batch_ranges(const Batch& batch) const override;
};

// The range of least squared error over all batches (clip_search.h); with averaging_constant, of
// errors whose older batches fade. An average of the batches' own best ranges would cut what only
// some of them hold.
class MseObserver : public Observer {
 public:
  explicit MseObserver(ObserverOptions options = {});
  std::string_view class_name() const override { return "MseObserver"; }

 protected:
  Ranges observe(const Ranges& record, const Batch& batch) override;

 private:
  at::Tensor errors_;            // f64[C, kClipSteps]
  at::Tensor least_, greatest_;  // f32[C]: of all batches
};

// The range whose quantized distribution has the least Kullback-Leibler divergence (histogram.h).
class KLObserver : public Observer {
 public:
  using Observer::Observer;
  std::string_view class_name() const override { return "KLObserver"; }

 protected:
  Ranges batch_ranges(const Batch& batch) const override;
};

// Of the percentiles 99, 99.9, 99.99, 99.999 and 100 the one of least squared error.
class MixObserver : public Observer {
 public:
  using Observer::Observer;
  std::string_view class_name() const override { return "MixObserver"; }

 protected:
  Ranges batch_ranges(const Batch& batch) const override;
};

// `scale`, whatever the data is.
class FixedScaleObserver : public Observer {
 public:
  using Observer::Observer;
  std::string_view class_name() const override { return "FixedScaleObserver"; }
  std::pair<at::Tensor, at::Tensor> calculate_qparams() const override;
  bool has_data() const override { return true; }

 protected:
  Ranges batch_ranges(const Batch& batch) const override;
};

// What lies in [xmin, xmax].
class ClipObserver : public Observer {
 public:
  using Observer::Observer;
  std::string_view class_name() const override { return "ClipObserver"; }

 protected:
  Ranges batch_ranges(const Batch& batch) const override;
};

// What lies within `std_scale` standard deviations of the mean.
class ClipStdObserver : public Observer {
 public:
  using Observer::Observer;
  std::string_view class_name() const override { return "ClipStdObserver"; }

 protected:
  Ranges batch_ranges(const Batch& batch) const override;
};

}  // namespace fxq
