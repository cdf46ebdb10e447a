// top-1 = hits / samples, over batches without gradients
#include "fxq/train/evaluate.h"

#include <ATen/core/grad_mode.h>

#include <algorithm>

#include "fxq/base/status.h"
#include "fxq/quant/fake_quantize.h"
#include "fxq/train/losses.h"

namespace fxq {
namespace {

template <typename Forward>
absl::StatusOr<double> top1_of(BatchSource& data, int64_t batch, c10::Device device,
                               const Forward& forward) {
  const at::NoGradGuard no_grad;
  int64_t hits = 0;
  std::vector<int64_t> samples;
  for (int64_t first = 0; first < data.size(); first += batch) {
    samples.clear();
    for (int64_t i = first; i < std::min(first + batch, data.size()); ++i) samples.push_back(i);
    FXQ_ASSIGN_OR_RETURN(TrainBatch read, data.read(samples));
    read = on_device(std::move(read), device);
    FXQ_ASSIGN_OR_RETURN(const c10::IValue result, forward(std::move(read.inputs)));
    FXQ_ASSIGN_OR_RETURN(const at::Tensor outputs, first_output(result));
    hits += count_hits(outputs, read.labels);
  }
  return static_cast<double>(hits) / static_cast<double>(std::max<int64_t>(1, data.size()));
}

// eval() mode while it lives; flags of fake quantizers and the mode are given back.
class Untouched {
 public:
  explicit Untouched(ObservedGraphModule& model)
      : model_(model), training_(model.graph_module().is_training()) {
    for (const auto& [path, fake_quant] : model.fake_quants()) {
      flags_.emplace_back(fake_quant->observer_enabled(), fake_quant->fake_quant_enabled());
    }
    model.graph_module().eval();
  }
  ~Untouched() {
    model_.graph_module().train(training_);
    size_t i = 0;
    for (const auto& [path, fake_quant] : model_.fake_quants()) {
      if (!fake_quant->has_fixed_qparams()) fake_quant->enable_observer(flags_[i].first);
      fake_quant->enable_fake_quant(flags_[i++].second);
    }
  }
  Untouched(const Untouched&) = delete;
  Untouched& operator=(const Untouched&) = delete;

 private:
  ObservedGraphModule& model_;
  bool training_;
  std::vector<std::pair<bool, bool>> flags_;
};

}  // namespace

absl::StatusOr<double> evaluate_top1(ObservedGraphModule& model, BatchSource& data, int64_t batch) {
  const Untouched untouched(model);
  FXQ_RETURN_IF_ERROR(set_fake_quantize(model, FakeQuantState::VALIDATION));
  return top1_of(data, batch, device_of(model.graph_module()),
                 [&](std::vector<c10::IValue> inputs) { return model.forward(std::move(inputs)); });
}

absl::StatusOr<double> evaluate_top1(const GraphModule& model, BatchSource& data, int64_t batch) {
  if (model.is_training()) {
    return absl::FailedPreconditionError(
        "evaluate_top1: the model is in train() mode; call eval()");
  }
  return top1_of(data, batch, device_of(model),
                 [&](std::vector<c10::IValue> inputs) { return model.forward(std::move(inputs)); });
}

absl::StatusOr<int64_t> count_classes(const GraphModule& model, BatchSource& data) {
  const at::NoGradGuard no_grad;
  const int64_t first = 0;
  FXQ_ASSIGN_OR_RETURN(TrainBatch one, data.read(absl::MakeConstSpan(&first, 1)));
  one = on_device(std::move(one), device_of(model));
  FXQ_ASSIGN_OR_RETURN(const c10::IValue result, model.forward(std::move(one.inputs)));
  FXQ_ASSIGN_OR_RETURN(const at::Tensor outputs, first_output(result));
  return outputs.dim() == 2 ? outputs.size(1) : 0;
}

absl::StatusOr<int64_t> count_classes(ObservedGraphModule& model, BatchSource& data) {
  const Untouched untouched(model);
  for (const auto& [path, fake_quant] : model.fake_quants()) {
    if (!fake_quant->has_fixed_qparams()) fake_quant->enable_observer(false);
  }
  return count_classes(model.graph_module(), data);
}

c10::Device device_of(const GraphModule& model) {
  const std::vector<at::Tensor> parameters = model.parameters();
  return parameters.empty() ? c10::Device(at::kCPU) : parameters[0].device();
}

bool is_calibrated(const ObservedGraphModule& model) {
  const GraphModule& gm = model.graph_module();
  for (const std::string& path : gm.module_paths()) {
    const auto* of_value = dynamic_cast<const FakeQuantize*>(gm.module(path).get());
    if (of_value && !of_value->is_calibrated()) return false;
  }
  return true;
}

}  // namespace fxq
