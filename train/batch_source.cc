// read(samples) = index_select(tensor, 0, samples)
#include "fxq/train/batch_source.h"

#include <ATen/ops/index_select.h>
#include <ATen/ops/tensor.h>
#include <fmt/format.h>

namespace fxq {
namespace {

class TensorSource final : public BatchSource {
 public:
  TensorSource(std::vector<at::Tensor> inputs, at::Tensor labels)
      : inputs_(std::move(inputs)), labels_(std::move(labels)) {}

  int64_t size() const override { return labels_.size(0); }

  absl::StatusOr<TrainBatch> read(absl::Span<const int64_t> samples) override {
    const at::Tensor index = at::tensor(c10::IntArrayRef(samples.data(), samples.size()));
    TrainBatch batch;
    for (const at::Tensor& input : inputs_) batch.inputs.emplace_back(input.index_select(0, index));
    batch.labels = labels_.index_select(0, index);
    return batch;
  }

 private:
  std::vector<at::Tensor> inputs_;
  at::Tensor labels_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<BatchSource>> tensor_source(std::vector<at::Tensor> inputs,
                                                           at::Tensor labels) {
  if (inputs.empty() || !labels.defined() || labels.dim() == 0) {
    return absl::InvalidArgumentError("tensor_source wants at least one input, and labels");
  }
  for (const at::Tensor& input : inputs) {
    if (input.dim() > 0 && input.size(0) == labels.size(0)) continue;
    return absl::InvalidArgumentError(fmt::format(
        "{} samples and {} labels", input.dim() > 0 ? input.size(0) : 0, labels.size(0)));
  }
  return std::make_unique<TensorSource>(std::move(inputs), std::move(labels));
}

}  // namespace fxq
