// Observers record the range of the tensors they see and turn it into a scale. They are
// torch::nn::Modules; all they know is in registered buffers, so saving and resuming is complete.
// Which class records what: observer_table() in observer.cc.
#pragma once

#include <ATen/core/TensorBody.h>
#include <torch/nn/module.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "fxq/quant/observer_options.h"

namespace fxq {

class Observer : public torch::nn::Module {
 public:
  // Of options that are valid: make_observer checks them, and what only some classes take.
  explicit Observer(ObserverOptions options = {});

  // Records x and returns it. Throws c10::Error, naming the batch, if x holds NaN or infinity.
  at::Tensor forward(const at::Tensor& x);
  // Scales f32[C] and zero points i32[C] (all 0); scale 1 before any data.
  std::pair<at::Tensor, at::Tensor> calculate_qparams() const;

  virtual std::string_view class_name() const = 0;
  const ObserverOptions& options() const { return options_; }
  bool has_data() const;
  void reset();

  // min_val f32[C], max_val f32[C], batches i64[1]
  std::vector<std::pair<std::string, at::Tensor>> tensors() const;
  void set_tensor(const std::string& name, const at::Tensor& value);

 protected:
  struct Ranges {
    at::Tensor min, max;  // f32[C]
  };
  // The range that one batch asks for; `rows` is f32[C, n], dense.
  virtual Ranges batch_ranges(const at::Tensor& rows, Ranges seen) const;
  // How the batch changes the record; the first batch is stored as it is.
  virtual Ranges merge(const Ranges& record, const Ranges& batch, int64_t batches) const = 0;

 private:
  at::Tensor rows_of(const at::Tensor& x) const;
  static Ranges ranges_of(const at::Tensor& rows);

  ObserverOptions options_;
  at::Tensor min_val_, max_val_, batches_;
};

// The least and greatest value of all batches.
class MinMaxObserver : public Observer {
 public:
  using Observer::Observer;
  std::string_view class_name() const override { return "MinMaxObserver"; }

 protected:
  Ranges merge(const Ranges& record, const Ranges& batch, int64_t batches) const override;
};

// m += averaging_constant * (batch - m), 0.01 unless given
class MovingAverageMinMaxObserver : public Observer {
 public:
  using Observer::Observer;
  std::string_view class_name() const override { return "MovingAverageMinMaxObserver"; }

 protected:
  Ranges merge(const Ranges& record, const Ranges& batch, int64_t batches) const override;
};

// The same per channel; ch_axis is 0 unless given.
class MovingAveragePerChannelMinMaxObserver : public MovingAverageMinMaxObserver {
 public:
  explicit MovingAveragePerChannelMinMaxObserver(ObserverOptions options = {});
  std::string_view class_name() const override { return "MovingAveragePerChannelMinMaxObserver"; }
};

// Per batch the range of least squared error (clip_search.h); the mean over all batches.
class MseObserver : public Observer {
 public:
  using Observer::Observer;
  std::string_view class_name() const override { return "MseObserver"; }

 protected:
  Ranges batch_ranges(const at::Tensor& rows, Ranges seen) const override;
  Ranges merge(const Ranges& record, const Ranges& batch, int64_t batches) const override;
};

// By class name, or by the user guide's short name ("mse", "min_max"). InvalidArgument names the
// nearest ones, and every bad option.
absl::StatusOr<std::shared_ptr<Observer>> make_observer(std::string_view name,
                                                        const ObserverOptions& options);

}  // namespace fxq
