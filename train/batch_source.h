// BatchSource: labelled samples that a trainer may read in any order. tensor_source() holds
// tensors, dataset_source() reads files when a sample's turn comes; derive from it for other data.
#pragma once

#include <ATen/core/ivalue.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "fxq/data/dataset.h"

namespace fxq {

struct TrainBatch {
  std::vector<c10::IValue> inputs;  // one per input of the model
  at::Tensor labels;                // i64[n], or what the trainer's loss wants
};

// The batch on a device; tensors that are there already stay.
TrainBatch on_device(TrainBatch batch, c10::Device device);

class BatchSource {
 public:
  virtual ~BatchSource() = default;
  virtual int64_t size() const = 0;  // samples
  // These samples, in this order, as one batch.
  virtual absl::StatusOr<TrainBatch> read(absl::Span<const int64_t> samples) = 0;
  // All labels, if they are class indices that are known beforehand: i64[size()], else undefined.
  virtual at::Tensor labels() const { return {}; }
  // Of what read() gives: a checkpoint refuses to go on with data of another fingerprint.
  virtual absl::StatusOr<std::string> fingerprint() { return std::to_string(size()); }
};

// Of the labels, and of 64 samples spread over the data. For implementations of fingerprint().
absl::StatusOr<std::string> fingerprint_samples(BatchSource& data);

// InvalidArgument unless all labels that are known are in 0..classes-1; names the first samples
// that have others, and how many there are.
absl::Status check_labels(const BatchSource& data, int64_t classes);
absl::Status check_labels(const at::Tensor& labels, int64_t classes,
                          absl::Span<const int64_t> samples = {});

// Samples are the first dimension of each tensor. InvalidArgument if their numbers differ.
absl::StatusOr<std::unique_ptr<BatchSource>> tensor_source(std::vector<at::Tensor> inputs,
                                                           at::Tensor labels);

// The samples of a dataset (files, pictures) with one label each, read as they are needed.
absl::StatusOr<std::unique_ptr<BatchSource>> dataset_source(Dataset dataset,
                                                            const std::vector<int64_t>& labels);

}  // namespace fxq
