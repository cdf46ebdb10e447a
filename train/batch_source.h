// BatchSource: labelled samples that a trainer may read in any order. Derive from it for data that
// does not fit into memory; tensor_source() holds tensors.
#pragma once

#include <ATen/core/ivalue.h>

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace fxq {

struct TrainBatch {
  std::vector<c10::IValue> inputs;  // one per input of the model
  at::Tensor labels;                // i64[n], or what the trainer's loss wants
};

class BatchSource {
 public:
  virtual ~BatchSource() = default;
  virtual int64_t size() const = 0;  // samples
  // These samples, in this order, as one batch.
  virtual absl::StatusOr<TrainBatch> read(absl::Span<const int64_t> samples) = 0;
};

// Samples are the first dimension of each tensor. InvalidArgument if their numbers differ.
absl::StatusOr<std::unique_ptr<BatchSource>> tensor_source(std::vector<at::Tensor> inputs,
                                                           at::Tensor labels);

}  // namespace fxq
