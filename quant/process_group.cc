// gradient = sum over processes / their number
#include "fxq/quant/process_group.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/zeros_like.h>

#include <mutex>

#include "fxq/base/status.h"

namespace fxq {
namespace {

struct Current {
  std::mutex mutex;
  std::shared_ptr<ProcessGroup> group;
};

Current& current() {
  static auto* const own = new Current;
  return *own;
}

}  // namespace

void set_process_group(std::shared_ptr<ProcessGroup> group) {
  const std::lock_guard<std::mutex> lock(current().mutex);
  current().group = std::move(group);
}

std::shared_ptr<ProcessGroup> process_group() {
  const std::lock_guard<std::mutex> lock(current().mutex);
  return current().group;
}

absl::Status average_gradients(const std::vector<at::Tensor>& parameters) {
  const auto group = process_group();
  return average_gradients(parameters, 1, group ? group->size() : 1);
}

absl::Status average_gradients(const std::vector<at::Tensor>& parameters, int64_t own,
                               int64_t all) {
  const auto group = process_group();
  if (!group || group->size() == 1) return absl::OkStatus();
  const double weight = static_cast<double>(own * group->size()) / static_cast<double>(all);
  const at::NoGradGuard no_grad;
  for (const at::Tensor& parameter : parameters) {
    at::Tensor& gradient = parameter.mutable_grad();
    if (!gradient.defined()) gradient = at::zeros_like(parameter);
    if (weight != 1.0) gradient.mul_(weight);
    FXQ_RETURN_IF_ERROR(group->all_reduce(gradient, ProcessGroup::Reduction::kSum));
    gradient.div_(group->size());
  }
  return absl::OkStatus();
}

absl::Status broadcast_tensors(const std::vector<at::Tensor>& tensors) {
  const auto group = process_group();
  if (!group || group->size() == 1) return absl::OkStatus();
  const at::NoGradGuard no_grad;
  for (at::Tensor tensor : tensors) FXQ_RETURN_IF_ERROR(group->broadcast(tensor));
  return absl::OkStatus();
}

}  // namespace fxq
