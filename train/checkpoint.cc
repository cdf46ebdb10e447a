// tensors "train.optimizer" u8[n], "train.random" u8[n], "train.position" f64[10] of a saved graph
#include "fxq/train/checkpoint.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/tensor.h>

#include "fxq/base/status.h"
#include "fxq/quant/stage.h"

namespace fxq {
namespace {

constexpr const char* kOptimizer = "train.optimizer";
constexpr const char* kRandom = "train.random";
constexpr const char* kPosition = "train.position";

at::Tensor to_tensor(const TrainPosition& p) {
  return at::tensor(
      {static_cast<double>(p.epoch), static_cast<double>(p.step), static_cast<double>(p.total),
       p.loss_sum, static_cast<double>(p.hits), static_cast<double>(p.samples), p.best_top1,
       static_cast<double>(p.epochs_since_best), p.first_top1, p.recent_top1},
      at::kDouble);
}

TrainPosition to_position(const at::Tensor& tensor) {
  const double* v = tensor.data_ptr<double>();
  auto whole = [&](int i) { return static_cast<int64_t>(v[i]); };
  return {whole(0), whole(1), whole(2), v[3], whole(4), whole(5), v[6], whole(7), v[8], v[9]};
}

}  // namespace

absl::Status save_checkpoint(const ObservedGraphModule& model, const TrainOptimizer& optimizer,
                             const TrainPosition& position, const std::string& data_seen,
                             const TrainOptions& options) {
  GraphModule gm = model.graph_module().copy();
  gm.settings[kRunSetting] = run_settings(options);
  gm.settings[kDataSetting] = data_seen;
  gm.set_tensor(kOptimizer, optimizer.state());
  gm.set_tensor(kRandom, at::detail::getDefaultCPUGenerator().get_state());
  gm.set_tensor(kPosition, to_tensor(position));
  return save(ObservedGraphModule(std::move(gm), model.report), options.checkpoint);
}

absl::StatusOr<Checkpoint> load_checkpoint(const std::string& path) {
  FXQ_ASSIGN_OR_RETURN(ObservedGraphModule model, load_observed(path));
  Checkpoint checkpoint{std::move(model.graph_module()), {}, {}, {}, {}};
  checkpoint.optimizer = checkpoint.gm.tensor(kOptimizer);
  checkpoint.random = checkpoint.gm.tensor(kRandom);
  const at::Tensor position = checkpoint.gm.tensor(kPosition);
  if (!checkpoint.optimizer.defined() || !checkpoint.random.defined() || !position.defined() ||
      position.numel() != to_tensor({}).numel()) {
    return absl::DataLossError(path + " is a prepared model, but no checkpoint of training");
  }
  checkpoint.position = to_position(position);
  const auto data = checkpoint.gm.settings.find(kDataSetting);
  if (data != checkpoint.gm.settings.end()) checkpoint.data_seen = data->second;
  return checkpoint;
}

}  // namespace fxq
