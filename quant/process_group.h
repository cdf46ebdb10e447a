// ProcessGroup: the processes that train one model together, as observers and the training loop
// need them: a few reductions. The group of this process is set once, before training; without one
// the process is alone and every reduction leaves its tensor as it is. Over LibTorch's c10d (Gloo):
// distributed/gloo_group.h.
#pragma once

#include <ATen/core/TensorBody.h>

#include <memory>

#include "absl/status/status.h"

namespace fxq {

class ProcessGroup {
 public:
  virtual ~ProcessGroup() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;
  enum class Reduction : uint8_t { kSum, kMin, kMax };
  // In place, over the tensors of the same call of every process: same order, sizes and dtype
  // everywhere. Unavailable names what went wrong.
  virtual absl::Status all_reduce(at::Tensor& tensor, Reduction reduction) = 0;
  // The tensor of process 0, in place.
  virtual absl::Status broadcast(at::Tensor& tensor) = 0;
};

// Of the whole process; null: alone.
void set_process_group(std::shared_ptr<ProcessGroup> group);
std::shared_ptr<ProcessGroup> process_group();

// Averages the gradients of the parameters over the group, in their order: call it between
// backward() and the optimizer's step. Parameters without a gradient count as zero.
absl::Status average_gradients(const std::vector<at::Tensor>& parameters);
// Those of losses that are means over parts of different sizes: this process had `own` of `all`
// samples.
absl::Status average_gradients(const std::vector<at::Tensor>& parameters, int64_t own, int64_t all);
// Every process goes on with process 0's tensors.
absl::Status broadcast_tensors(const std::vector<at::Tensor>& tensors);

}  // namespace fxq
