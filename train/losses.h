// What a step minimises, and how often it was right. Pure functions under autograd.
#pragma once

#include <ATen/core/ivalue.h>

#include "absl/status/statusor.h"
#include "fxq/train/train_options.h"

namespace fxq {

// The first tensor of a model's result. InvalidArgument if there is none.
absl::StatusOr<at::Tensor> first_output(const c10::IValue& result);

// (1 - w) * loss(outputs, labels) + w * T^2 * KL(softmax(teacher / T) || softmax(outputs / T)),
// w and T from the options (arXiv 1503.02531). `teacher` may be undefined if w is 0.
absl::StatusOr<at::Tensor> training_loss(const at::Tensor& outputs, const at::Tensor& labels,
                                         const at::Tensor& teacher, const TrainOptions& options);

// Rows whose largest value is their label; 0 for labels that are no class indices.
int64_t count_hits(const at::Tensor& outputs, const at::Tensor& labels);

}  // namespace fxq
