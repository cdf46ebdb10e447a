// read(samples) = index_select(tensor, 0, samples), or the samples' rows of files
#include "fxq/train/batch_source.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/tensor.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>

#include "fxq/base/status.h"
#include "fxq/graph/tensor_convert.h"

namespace fxq {
namespace {

constexpr int64_t kSampled = 64;  // samples that a fingerprint reads
constexpr size_t kNamed = 8;      // bad labels that a message names

class TensorSource final : public BatchSource {
 public:
  TensorSource(std::vector<at::Tensor> inputs, at::Tensor labels)
      : inputs_(std::move(inputs)), labels_(std::move(labels)) {}

  int64_t size() const override { return labels_.size(0); }

  absl::StatusOr<TrainBatch> read(absl::Span<const int64_t> samples) override {
    const at::Tensor index = at::tensor(c10::IntArrayRef(samples.data(), samples.size()));
    TrainBatch batch;
    for (const at::Tensor& input : inputs_) {
      batch.inputs.emplace_back(input.index_select(0, index.to(input.device())));
    }
    batch.labels = labels_.index_select(0, index.to(labels_.device()));
    return batch;
  }

  at::Tensor labels() const override {
    return labels_.dim() == 1 && labels_.scalar_type() == at::kLong ? labels_ : at::Tensor();
  }
  absl::StatusOr<std::string> fingerprint() override { return fingerprint_samples(*this); }

 private:
  std::vector<at::Tensor> inputs_;
  at::Tensor labels_;
};

class DatasetSource final : public BatchSource {
 public:
  DatasetSource(Dataset dataset, at::Tensor labels)
      : dataset_(std::move(dataset)), labels_(std::move(labels)) {}

  int64_t size() const override { return labels_.size(0); }

  absl::StatusOr<TrainBatch> read(absl::Span<const int64_t> samples) override {
    FXQ_ASSIGN_OR_RETURN(const std::vector<NamedTensor> inputs, dataset_.gather(samples));
    TrainBatch batch;
    for (const NamedTensor& input : inputs) {
      batch.inputs.emplace_back(to_at_tensor(input.tensor));
    }
    const at::Tensor index = at::tensor(c10::IntArrayRef(samples.data(), samples.size()));
    batch.labels = labels_.index_select(0, index);
    return batch;
  }

  at::Tensor labels() const override { return labels_; }
  absl::StatusOr<std::string> fingerprint() override { return fingerprint_samples(*this); }

 private:
  Dataset dataset_;
  at::Tensor labels_;
};

absl::StatusOr<uint64_t> hash_of(const at::Tensor& tensor, uint64_t before) {
  FXQ_ASSIGN_OR_RETURN(const HostTensor host, to_host_tensor(tensor));
  const std::string type = host.describe();
  const uint64_t of_type = XXH3_64bits_withSeed(type.data(), type.size(), before);
  return XXH3_64bits_withSeed(host.bytes(), host.byte_size(), of_type);
}

}  // namespace

TrainBatch on_device(TrainBatch batch, c10::Device device) {
  for (c10::IValue& input : batch.inputs) {
    if (input.isTensor()) input = input.toTensor().to(device);
  }
  batch.labels = batch.labels.to(device);
  return batch;
}

absl::StatusOr<std::string> fingerprint_samples(BatchSource& data) {
  uint64_t hash = static_cast<uint64_t>(data.size());
  if (data.labels().defined()) {
    FXQ_ASSIGN_OR_RETURN(hash, hash_of(data.labels(), hash));
  }
  std::vector<int64_t> samples;
  const int64_t count = std::min(kSampled, data.size());
  for (int64_t i = 0; i < count; ++i) samples.push_back(i * data.size() / count);
  if (samples.empty()) return std::string("0");
  FXQ_ASSIGN_OR_RETURN(const TrainBatch batch, data.read(samples));
  for (const c10::IValue& input : batch.inputs) {
    if (!input.isTensor()) continue;
    FXQ_ASSIGN_OR_RETURN(hash, hash_of(input.toTensor(), hash));
  }
  FXQ_ASSIGN_OR_RETURN(hash, hash_of(batch.labels, hash));
  return fmt::format("{} samples, {:016x}", data.size(), hash);
}

absl::Status check_labels(const at::Tensor& labels, int64_t classes,
                          absl::Span<const int64_t> samples) {
  const at::Tensor bad = (labels.lt(0) | labels.ge(classes)).nonzero().view({-1}).cpu();
  if (bad.numel() == 0) return absl::OkStatus();
  std::vector<std::string> named;
  for (int64_t i = 0; i < bad.numel() && named.size() < kNamed; ++i) {
    const auto at = bad[i].item<int64_t>();
    named.push_back(fmt::format("sample {} has {}",
                                samples.empty() ? at : samples[static_cast<size_t>(at)],
                                labels[at].item<int64_t>()));
  }
  const bool more = static_cast<size_t>(bad.numel()) > named.size();
  return absl::InvalidArgumentError(
      fmt::format("{} of {} labels are not in 0..{}, the classes of the model: {}{}", bad.numel(),
                  labels.numel(), classes - 1, fmt::join(named, ", "), more ? ", ..." : ""));
}

absl::Status check_labels(const BatchSource& data, int64_t classes) {
  const at::Tensor labels = data.labels();
  return labels.defined() ? check_labels(labels, classes) : absl::OkStatus();
}

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

absl::StatusOr<std::unique_ptr<BatchSource>> dataset_source(Dataset dataset,
                                                            const std::vector<int64_t>& labels) {
  if (dataset.size() != static_cast<int64_t>(labels.size())) {
    return absl::InvalidArgumentError(
        fmt::format("{} samples and {} labels", dataset.size(), labels.size()));
  }
  return std::make_unique<DatasetSource>(std::move(dataset), at::tensor(labels, at::kLong));
}

}  // namespace fxq
