// The digits net and its pictures, as both programs of this folder need them.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/tensor.h>

#include <memory>
#include <string>

#include "fxq/base/status.h"
#include "fxq/data/labels.h"
#include "fxq/data/npy.h"
#include "fxq/graph/tensor_convert.h"
#include "fxq/tracer/shape_prop.h"
#include "fxq/tracer/trace.h"
#include "fxq/train/batch_source.h"

namespace digits {

struct Task {
  fxq::GraphModule model;  // in eval() mode
  at::Tensor images, labels;
};

inline absl::StatusOr<Task> open(const std::string& folder) {
  Task task;
  FXQ_ASSIGN_OR_RETURN(task.model, fxq::trace_file(folder + "/digits.script.pt"));
  FXQ_ASSIGN_OR_RETURN(const fxq::HostTensor images, fxq::read_npy(folder + "/test_images.npy"));
  FXQ_ASSIGN_OR_RETURN(const std::vector<int64_t> labels,
                       fxq::read_labels(folder + "/test_labels.npy"));
  task.images = fxq::to_at_tensor(images).clone();
  task.labels = at::tensor(labels, at::kLong);
  task.model.eval();
  FXQ_RETURN_IF_ERROR(fxq::propagate_shapes(task.model, {task.images.slice(0, 0, 8)}));
  return task;
}

inline absl::StatusOr<std::unique_ptr<fxq::BatchSource>> samples(const Task& task, int64_t first,
                                                                 int64_t end) {
  return fxq::tensor_source({task.images.slice(0, first, end)}, task.labels.slice(0, first, end));
}

}  // namespace digits
