// Observers record the range of the tensors they see and turn it into a scale. They are
// torch::nn::Modules; all they know is in registered buffers, so saving and resuming is complete.
// Those of calibration: calibration_observers.h; the table of all: observer_table.cc.
#pragma once

#include <ATen/core/TensorBody.h>
#include <torch/nn/module.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "fxq/graph/float_rows.h"
#include "fxq/quant/observer_options.h"

namespace fxq {

class Observer : public torch::nn::Module {
 public:
  // Of options that are valid: make_observer checks them, and what only some classes take.
  explicit Observer(ObserverOptions options = {});

  // Records x and returns it. Throws c10::Error, naming the batch, if x holds NaN or infinity.
  at::Tensor forward(const at::Tensor& x);
  // Records a batch of one row per channel that need not exist as a tensor, for observers that read
  // no values.
  void observe_rows(const FloatRows& rows);
  // Whether it asks for more than the least and greatest value of each channel.
  virtual bool reads_values() const { return true; }
  // Scales f32[C] and zero points i32[C] (all 0); scale 1 before any data.
  virtual std::pair<at::Tensor, at::Tensor> calculate_qparams() const;

  virtual std::string_view class_name() const = 0;  // what make_observer knows it by
  const ObserverOptions& options() const { return options_; }
  virtual bool has_data() const;
  void reset();

  // min_val f32[C], max_val f32[C], batches i64[1], and what the class adds
  const std::vector<std::pair<std::string, at::Tensor>>& tensors() const { return tensors_; }
  void set_tensor(const std::string& name, const at::Tensor& value);

 protected:
  struct Ranges {
    at::Tensor min, max;  // f32[C]
  };
  // One batch: `rows` is f32[C, n], dense and finite.
  struct Batch {
    at::Tensor rows;
    Ranges seen;
    int64_t index;
    absl::Span<const float> row(int64_t c) const;
    float max_abs(int64_t c) const;
  };
  // The record after this batch. By default merge(record, batch_ranges(batch)), and the first
  // batch's ranges as they are.
  virtual Ranges observe(const Ranges& record, const Batch& batch);
  // The range that one batch asks for: what it holds.
  virtual Ranges batch_ranges(const Batch& batch) const { return batch.seen; }
  // How that changes the record: m += c * (batch - m), where c is averaging_constant or, unset,
  // what gives all batches equal weight.
  virtual Ranges merge(const Ranges& record, const Ranges& range, int64_t batches) const;

  static Ranges average(const Ranges& record, const Ranges& range, double c);
  // batch.seen cut to [-clip(c), clip(c)].
  static Ranges clipped(const Batch& batch, const std::function<float(int64_t c)>& clip);
  // A buffer that is saved and copied with the observer; reset() makes it zero.
  at::Tensor add_tensor(const std::string& name, const at::Tensor& value);

 private:
  at::Tensor rows_of(const at::Tensor& x) const;
  static Ranges ranges_of(const at::Tensor& rows);
  static Ranges ranges_of(const FloatRows& rows);
  void record(const at::Tensor& rows, Ranges seen);
  // Of the batches of all processes together.
  static void synchronize(Ranges& seen);

  ObserverOptions options_;
  at::Tensor min_val_, max_val_, batches_;
  std::vector<std::pair<std::string, at::Tensor>> tensors_;
};

// The least and greatest value of all batches.
class MinMaxObserver : public Observer {
 public:
  using Observer::Observer;
  std::string_view class_name() const override { return "MinMaxObserver"; }
  bool reads_values() const override { return false; }

 protected:
  Ranges merge(const Ranges& record, const Ranges& batch, int64_t batches) const override;
};

// m += averaging_constant * (batch - m), 0.01 unless given
class MovingAverageMinMaxObserver : public Observer {
 public:
  using Observer::Observer;
  std::string_view class_name() const override { return "MovingAverageMinMaxObserver"; }
  bool reads_values() const override { return false; }

 protected:
  Ranges merge(const Ranges& record, const Ranges& batch, int64_t batches) const override;
};

// The same per channel; ch_axis is 0 unless given.
class MovingAveragePerChannelMinMaxObserver : public MovingAverageMinMaxObserver {
 public:
  explicit MovingAveragePerChannelMinMaxObserver(ObserverOptions options = {});
  std::string_view class_name() const override { return "MovingAveragePerChannelMinMaxObserver"; }
};

// By class name, or by the user guide's short name ("mse", "min_max"). InvalidArgument names the
// nearest ones, and every bad option.
absl::StatusOr<std::shared_ptr<Observer>> make_observer(std::string_view name,
                                                        const ObserverOptions& options);
// The options as that observer would have them: with the channel axis of its class. Errors as
// above.
absl::StatusOr<ObserverOptions> observer_options(std::string_view name,
                                                 const ObserverOptions& options);

using ObserverFactory = std::function<std::shared_ptr<Observer>(const ObserverOptions&)>;
// Makes a class of the user's known to make_observer, qconfigs and loading, for the whole process.
// Its class_name() must give `name`. InvalidArgument if the name is taken.
absl::Status register_observer(std::string name, ObserverFactory factory);

}  // namespace fxq
