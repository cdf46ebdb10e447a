// The optimizer of a run: one of LibTorch's, by name, whose state is one tensor to save.
#pragma once

#include <ATen/core/TensorBody.h>

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "fxq/train/train_options.h"

namespace torch::optim {
class Optimizer;
}

namespace fxq {

class TrainOptimizer {
 public:
  // Of options that are valid.
  TrainOptimizer(std::vector<at::Tensor> parameters, const TrainOptions& options);
  TrainOptimizer(TrainOptimizer&&) noexcept;
  TrainOptimizer& operator=(TrainOptimizer&&) noexcept;
  ~TrainOptimizer();

  const std::vector<at::Tensor>& parameters() const { return parameters_; }
  void zero_grad();
  // One step at this rate; gradients are cut to the option's norm first.
  void step(double learning_rate);

  at::Tensor state() const;                         // u8[n]
  absl::Status set_state(const at::Tensor& state);  // DataLoss if it is of another run

 private:
  std::vector<at::Tensor> parameters_;
  double clip_;
  std::unique_ptr<torch::optim::Optimizer> optimizer_;
};

}  // namespace fxq
