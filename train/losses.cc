// cross entropy, and the Kullback-Leibler divergence of soft labels
#include "fxq/train/losses.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/argmax.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/softmax.h>

#include "fxq/base/status.h"
#include "fxq/quant/compare.h"

namespace fxq {
namespace {

absl::StatusOr<at::Tensor> label_loss(const at::Tensor& outputs, const at::Tensor& labels,
                                      const TrainOptions& options) {
  if (options.loss) return options.loss(outputs, labels);
  const bool classes = outputs.dim() == 2 && labels.dim() == 1 &&
                       labels.scalar_type() == at::kLong && outputs.size(0) == labels.size(0);
  if (!classes) {
    return absl::InvalidArgumentError(
        "cross entropy wants outputs f32[N,classes] and labels i64[N]; give options.loss for "
        "another task");
  }
  return at::cross_entropy_loss(outputs, labels);
}

}  // namespace

absl::StatusOr<at::Tensor> first_output(const c10::IValue& result) {
  const std::vector<at::Tensor> tensors = flatten_tensors(result);
  if (tensors.empty()) return absl::InvalidArgumentError("the model has no tensor output");
  return tensors[0];
}

absl::StatusOr<at::Tensor> training_loss(const at::Tensor& outputs, const at::Tensor& labels,
                                         const at::Tensor& teacher, const TrainOptions& options) {
  const double w = options.distillation, t = options.temperature;
  if (w == 0) return label_loss(outputs, labels, options);
  const at::Tensor target = at::softmax(teacher / t, -1);
  const at::Tensor divergence =
      (target * (at::log_softmax(teacher / t, -1) - at::log_softmax(outputs / t, -1)))
          .sum(-1)
          .mean();
  if (w == 1) return divergence * (t * t);
  FXQ_ASSIGN_OR_RETURN(const at::Tensor hard, label_loss(outputs, labels, options));
  return hard * (1 - w) + divergence * (w * t * t);
}

int64_t count_hits(const at::Tensor& outputs, const at::Tensor& labels) {
  const at::NoGradGuard no_grad;
  if (outputs.dim() != 2 || labels.dim() != 1 || labels.scalar_type() != at::kLong) return 0;
  return outputs.argmax(1).eq(labels).sum().item<int64_t>();
}

}  // namespace fxq
