// epoch: a seeded permutation, cut into batches; step: augment, forward, loss, backward, average
// over the processes, clip, step. Everything that a step depends on is in the checkpoint or the
// options.
#include "fxq/train/qat_trainer.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/full.h>
#include <ATen/ops/randperm.h>
#include <ATen/ops/tensor.h>
#include <fmt/format.h>

#include <cmath>
#include <filesystem>

#include "fxq/base/status.h"
#include "fxq/quant/fake_quantize.h"
#include "fxq/quant/process_group.h"
#include "fxq/quant/provenance.h"
#include "fxq/quant/stage.h"
#include "fxq/train/augment.h"
#include "fxq/train/checkpoint.h"
#include "fxq/train/convergence.h"
#include "fxq/train/losses.h"

namespace fxq {

struct QatTrainer::Run {
  Run(ObservedGraphModule m, TrainOptions o)
      : model(std::move(m)),
        options(std::move(o)),
        optimizer(model.graph_module().parameters(), options) {}

  absl::StatusOr<TrainReport> fit(BatchSource& data, BatchSource* validation);
  absl::StatusOr<bool> resume();
  absl::Status check_data(BatchSource& data, BatchSource* validation);
  absl::Status start(BatchSource* validation, TrainReport& report);
  absl::Status check_same_run(const GraphModule& saved) const;

  absl::StatusOr<bool> epoch(BatchSource& data);
  absl::Status step(BatchSource& data, absl::Span<const int64_t> samples);
  absl::Status backward(const at::Tensor& outputs, const at::Tensor& labels,
                        const at::Tensor& soft);
  absl::Status add_up(absl::Status learned, int64_t& hits, int64_t& samples);
  absl::Status end_epoch(BatchSource* validation, TrainReport& report);
  absl::Status keep_best(double& top1);
  TrainProgress progress(int64_t samples) const;
  bool writes() const;
  absl::Status save() const;
  void freeze_if_due();
  std::vector<int64_t> order(int64_t samples) const;
  std::string best_path() const { return options.checkpoint + ".best"; }

  ObservedGraphModule model;
  TrainOptions options;
  TrainOptimizer optimizer;
  const GraphModule* teacher = nullptr;
  TrainPosition at;
  int64_t steps_per_epoch = 0;
  std::string data_seen;  // fingerprints of training and validation data
  bool frozen = false, bn_frozen = false;
  double last_loss = 0;
  std::optional<GraphModule> best;
};

namespace {

// The part of a batch that this process takes.
absl::Span<const int64_t> own_part(absl::Span<const int64_t> samples) {
  const auto group = process_group();
  if (!group) return samples;
  const auto size = static_cast<size_t>(group->size()), rank = static_cast<size_t>(group->rank());
  const size_t first = samples.size() * rank / size;
  return samples.subspan(first, samples.size() * (rank + 1) / size - first);
}

// Every process needs a part of every batch.
absl::Status check_parts(const TrainOptions& options, int64_t samples) {
  const auto group = process_group();
  const int64_t last = samples % options.batch;
  const int64_t smallest = last > 0 ? last : options.batch;
  if (!group || smallest >= group->size()) return absl::OkStatus();
  return absl::InvalidArgumentError(fmt::format(
      "{} processes share a batch of {} samples, and some would have none: options.batch "
      "is {}, of all processes together, and leaves so many of {} samples; choose another",
      group->size(), smallest, options.batch, samples));
}

// What process 0 has found decides: where statistics are each process's own, so is top-1.
absl::Status take_first(double& value) {
  at::Tensor shared = at::full({1}, value, at::kDouble);
  FXQ_RETURN_IF_ERROR(broadcast_tensors({shared}));
  value = shared.item<double>();
  return absl::OkStatus();
}

}  // namespace

std::vector<int64_t> QatTrainer::Run::order(int64_t samples) const {
  auto generator = at::make_generator<at::CPUGeneratorImpl>(
      static_cast<uint64_t>(options.seed * 1000003 + at.epoch));
  const at::Tensor shuffled = at::randperm(samples, generator, at::kLong);
  const int64_t* data = shuffled.data_ptr<int64_t>();
  return {data, data + samples};
}

void QatTrainer::Run::freeze_if_due() {
  const auto all = static_cast<double>(steps_per_epoch * options.epochs);
  const auto is_due = [&](double share) {
    return share < 1 && static_cast<double>(at.total) >= share * all;
  };
  if (!bn_frozen && is_due(std::min(options.freeze_after, options.freeze_bn_after.value_or(1)))) {
    freeze_bn_stats(model);
    bn_frozen = true;
  }
  if (frozen || !is_due(options.freeze_after)) return;
  enable_observers(model, false);
  frozen = true;
}

// The edge: LibTorch's exceptions, and those of a loss of the caller's, end here.
absl::Status QatTrainer::Run::backward(const at::Tensor& outputs, const at::Tensor& labels,
                                       const at::Tensor& soft) {
  const char* doing = "the loss";
  try {
    FXQ_ASSIGN_OR_RETURN(const at::Tensor loss, training_loss(outputs, labels, soft, options));
    last_loss = loss.item<double>();
    doing = "backward from the loss";
    if (std::isfinite(last_loss)) loss.backward();
  } catch (const c10::Error& error) {
    return absl::InvalidArgumentError(fmt::format("{}: {}", doing, error.what_without_backtrace()));
  } catch (const std::exception& error) {
    return absl::InvalidArgumentError(fmt::format("{}: {}", doing, error.what()));
  }
  return absl::OkStatus();
}

absl::Status QatTrainer::Run::step(BatchSource& data, absl::Span<const int64_t> samples) {
  freeze_if_due();
  const absl::Span<const int64_t> own = own_part(samples);
  FXQ_ASSIGN_OR_RETURN(TrainBatch batch, data.read(own));
  FXQ_RETURN_IF_ERROR(augment(options, at.epoch, own, batch.inputs));
  batch = on_device(std::move(batch), optimizer.parameters()[0].device());
  at::Tensor soft;
  if (options.distillation > 0) {
    const at::NoGradGuard no_grad;
    FXQ_ASSIGN_OR_RETURN(const c10::IValue result, teacher->forward(batch.inputs));
    FXQ_ASSIGN_OR_RETURN(soft, first_output(result));
  }
  optimizer.zero_grad();
  FXQ_ASSIGN_OR_RETURN(const c10::IValue result, model.forward(std::move(batch.inputs)));
  FXQ_ASSIGN_OR_RETURN(const at::Tensor outputs, first_output(result));
  if (!options.loss && outputs.dim() == 2 && batch.labels.scalar_type() == at::kLong) {
    FXQ_RETURN_IF_ERROR(check_labels(batch.labels, outputs.size(1), own));
  }
  const absl::Status learned = backward(outputs, batch.labels, soft);
  const int64_t mine = batch.labels.size(0);
  int64_t hits = count_hits(outputs, batch.labels), count = mine;
  FXQ_RETURN_IF_ERROR(add_up(learned, hits, count));
  if (!std::isfinite(last_loss)) {
    return absl::AbortedError(fmt::format(
        "the loss is {}: training has diverged; a smaller learning_rate (it is {}) or a "
        "gradient_clip (it is {}) may help",
        last_loss, options.learning_rate, options.gradient_clip));
  }
  FXQ_RETURN_IF_ERROR(average_gradients(optimizer.parameters(), mine, count));
  optimizer.step(scheduled_rate(options, at.total, steps_per_epoch * options.epochs));
  ++at.step;
  ++at.total;
  at.loss_sum += last_loss;
  at.hits += hits;
  at.samples += count;
  follow_top1(at, hits, count);
  return absl::OkStatus();
}

// Loss, hits and samples become those of all processes: what ends the run of one of them then ends
// it for all, and none waits for another's gradients.
absl::Status QatTrainer::Run::add_up(absl::Status learned, int64_t& hits, int64_t& samples) {
  const auto group = process_group();
  if (!group || group->size() == 1) return learned;
  const auto count = static_cast<double>(samples);
  at::Tensor sums = at::tensor({learned.ok() ? 0.0 : 1.0, learned.ok() ? last_loss * count : 0.0,
                                static_cast<double>(hits), count},
                               at::kDouble);
  const absl::Status reduced = group->all_reduce(sums, ProcessGroup::Reduction::kSum);
  FXQ_RETURN_IF_ERROR(learned);
  FXQ_RETURN_IF_ERROR(reduced);
  const double* sum = sums.data_ptr<double>();
  if (sum[0] > 0) {
    return absl::CancelledError(fmt::format(
        "{} of {} processes cannot go on; their messages say why", sum[0], group->size()));
  }
  last_loss = sum[1] / sum[3];
  hits = static_cast<int64_t>(sum[2]);
  samples = static_cast<int64_t>(sum[3]);
  return absl::OkStatus();
}

TrainProgress QatTrainer::Run::progress(int64_t samples) const {
  const auto steps = static_cast<double>(std::max<int64_t>(1, at.step));
  const auto seen = static_cast<double>(std::max<int64_t>(1, at.samples));
  const int64_t last = std::max<int64_t>(0, at.total - 1);
  return {at.epoch,
          at.step,
          steps_per_epoch,
          samples,
          last_loss,
          at.loss_sum / steps,
          static_cast<double>(at.hits) / seen,
          scheduled_rate(options, last, steps_per_epoch * options.epochs)};
}

// False: on_step ended the run.
absl::StatusOr<bool> QatTrainer::Run::epoch(BatchSource& data) {
  const std::vector<int64_t> shuffled = order(data.size());
  if (options.on_epoch) options.on_epoch(progress(options.batch));
  while (at.step < steps_per_epoch) {
    const auto first = static_cast<size_t>(at.step * options.batch);
    const size_t count = std::min(static_cast<size_t>(options.batch), shuffled.size() - first);
    const absl::Status status = step(data, absl::MakeConstSpan(shuffled).subspan(first, count));
    if (!status.ok()) {
      return absl::Status(status.code(), fmt::format("epoch {}, step {}: {}", at.epoch + 1,
                                                     at.step + 1, message_of(status)));
    }
    const bool due = options.checkpoint_every > 0 && at.total % options.checkpoint_every == 0;
    if (due) FXQ_RETURN_IF_ERROR(save());
    if (!options.on_step || options.on_step(progress(static_cast<int64_t>(count)))) continue;
    FXQ_RETURN_IF_ERROR(save());
    return false;
  }
  return true;
}

// Files are process 0's.
bool QatTrainer::Run::writes() const {
  const auto group = process_group();
  return !options.checkpoint.empty() && (!group || group->rank() == 0);
}

absl::Status QatTrainer::Run::save() const {
  if (!writes()) return absl::OkStatus();
  return save_checkpoint(model, optimizer, at, data_seen, options);
}

absl::Status QatTrainer::Run::keep_best(double& top1) {
  FXQ_RETURN_IF_ERROR(take_first(top1));
  ++at.epochs_since_best;
  if (top1 <= at.best_top1) return absl::OkStatus();
  at.best_top1 = top1;
  at.epochs_since_best = 0;
  best = model.graph_module().copy(GraphModule::Copy::kCloneAll);
  if (!writes()) return absl::OkStatus();
  return fxq::save(model, best_path());
}

absl::Status QatTrainer::Run::end_epoch(BatchSource* validation, TrainReport& report) {
  FXQ_RETURN_IF_ERROR(check_converges(at, options.learning_rate));
  EpochReport epoch{
      at.epoch, at.loss_sum / static_cast<double>(std::max<int64_t>(1, at.step)),
      static_cast<double>(at.hits) / static_cast<double>(std::max<int64_t>(1, at.samples)),
      std::nullopt};
  if (validation) {
    FXQ_ASSIGN_OR_RETURN(epoch.validation_top1, evaluate_top1(model, *validation));
    FXQ_RETURN_IF_ERROR(keep_best(*epoch.validation_top1));
    report.best_top1 = at.best_top1;
  }
  report.epochs.push_back(epoch);
  ++at.epoch;
  at.step = 0;
  at.loss_sum = 0;
  at.hits = at.samples = 0;
  report.stopped_early = options.patience > 0 && validation &&
                         at.epochs_since_best >= options.patience && at.epoch < options.epochs;
  return save();
}

absl::Status QatTrainer::Run::check_data(BatchSource& data, BatchSource* validation) {
  if (data.size() == 0) return absl::InvalidArgumentError("there are no training samples");
  FXQ_RETURN_IF_ERROR(check_parts(options, data.size()));
  if (!options.loss) {
    FXQ_ASSIGN_OR_RETURN(const int64_t classes, count_classes(model, data));
    if (classes > 0) FXQ_RETURN_IF_ERROR(check_labels(data, classes));
    if (classes > 0 && validation) FXQ_RETURN_IF_ERROR(check_labels(*validation, classes));
  }
  if (options.checkpoint.empty()) return absl::OkStatus();
  FXQ_ASSIGN_OR_RETURN(std::string seen, data.fingerprint());
  if (validation) {
    FXQ_ASSIGN_OR_RETURN(const std::string held_out, validation->fingerprint());
    seen += "; validation: " + held_out;
  }
  if (!data_seen.empty() && data_seen != seen) {
    return absl::FailedPreconditionError(fmt::format(
        "{} is of a run with other data or labels; begin anew (fxq qat --restart) or go "
        "on with the same.\n  then: {}\n  now: {}",
        options.checkpoint, data_seen, seen));
  }
  data_seen = std::move(seen);
  return absl::OkStatus();
}

// What calibration gave is the first candidate for the best model.
absl::Status QatTrainer::Run::start(BatchSource* validation, TrainReport& report) {
  FXQ_RETURN_IF_ERROR(broadcast_tensors(optimizer.parameters()));
  if (!validation || !is_calibrated(model)) return absl::OkStatus();
  FXQ_ASSIGN_OR_RETURN(report.start_top1, evaluate_top1(model, *validation));
  FXQ_RETURN_IF_ERROR(keep_best(*report.start_top1));
  return absl::OkStatus();
}

absl::StatusOr<TrainReport> QatTrainer::Run::fit(BatchSource& data, BatchSource* validation) {
  if (options.distillation > 0 && !teacher) {
    return absl::FailedPreconditionError("distillation needs a teacher: set_teacher()");
  }
  FXQ_RETURN_IF_ERROR(check_data(data, validation));
  // A short last batch would have statistics of its own.
  steps_per_epoch = std::max<int64_t>(1, data.size() / options.batch);
  TrainReport report;
  if (at.total == 0) FXQ_RETURN_IF_ERROR(start(validation, report));
  while (at.epoch < options.epochs && !report.stopped_early && !report.interrupted) {
    FXQ_ASSIGN_OR_RETURN(const bool ended, epoch(data));
    report.interrupted = !ended;
    if (ended) FXQ_RETURN_IF_ERROR(end_epoch(validation, report));
  }
  report.steps = at.total;
  if (at.best_top1 >= 0) report.best_top1 = at.best_top1;
  if (!report.interrupted && best) model = ObservedGraphModule(std::move(*best), model.report);
  return report;
}

// The march, the qconfigs and the options that it was made with.
absl::Status QatTrainer::Run::check_same_run(const GraphModule& saved) const {
  const GraphModule& mine = model.graph_module();
  for (const char* key : {kMarchSetting, kQConfigsSetting, kRunSetting}) {
    const auto theirs = saved.settings.find(key);
    const std::string before = theirs == saved.settings.end() ? "" : theirs->second;
    const std::string now = key == kRunSetting         ? run_settings(options)
                            : mine.settings.count(key) ? mine.settings.at(key)
                                                       : "";
    if (before == now) continue;
    return absl::FailedPreconditionError(
        fmt::format("{} is of a run with other settings; begin anew (fxq qat --restart) or go on "
                    "with the same.\n  "
                    "{} then: {}\n  {} now: {}",
                    options.checkpoint, key, before, key, now));
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> QatTrainer::Run::resume() {
  if (options.checkpoint.empty() || !std::filesystem::exists(options.checkpoint)) return false;
  FXQ_ASSIGN_OR_RETURN(Checkpoint checkpoint, load_checkpoint(options.checkpoint));
  FXQ_RETURN_IF_ERROR(check_same_run(checkpoint.gm));
  const auto mine = model.graph_module().parameters();
  checkpoint.gm.settings.erase(kRunSetting);
  checkpoint.gm.settings.erase(kDataSetting);
  checkpoint.gm.remove_unused();  // the tensors of the run, which no node reads
  model = ObservedGraphModule(std::move(checkpoint.gm), model.report);
  const auto saved = model.graph_module().parameters();
  bool same = mine.size() == saved.size();
  for (size_t i = 0; same && i < mine.size(); ++i) same = mine[i].sizes() == saved[i].sizes();
  if (!same)
    return absl::DataLossError(options.checkpoint +
                               " is of another model; begin anew (fxq qat --restart)");
  optimizer = TrainOptimizer(saved, options);
  FXQ_RETURN_IF_ERROR(optimizer.set_state(checkpoint.optimizer));
  at::Generator generator = at::detail::getDefaultCPUGenerator();
  generator.set_state(checkpoint.random);
  at = checkpoint.position;
  data_seen = checkpoint.data_seen;
  if (at.best_top1 >= 0 && std::filesystem::exists(best_path())) {
    FXQ_ASSIGN_OR_RETURN(ObservedGraphModule known, load_observed(best_path()));
    best = std::move(known.graph_module());
  }
  return true;
}

QatTrainer::QatTrainer(std::unique_ptr<Run> run) : run_(std::move(run)) {}
QatTrainer::QatTrainer(QatTrainer&&) noexcept = default;
QatTrainer& QatTrainer::operator=(QatTrainer&&) noexcept = default;
QatTrainer::~QatTrainer() = default;

absl::StatusOr<QatTrainer> QatTrainer::create(ObservedGraphModule model, TrainOptions options) {
  FXQ_RETURN_IF_ERROR(options.validate());
  if (!model.graph_module().is_training()) {
    return absl::FailedPreconditionError(
        "QatTrainer wants a model in train() mode, as prepare_qat_fx gives it");
  }
  if (model.graph_module().parameters().empty()) {
    return absl::FailedPreconditionError(
        "QatTrainer: no parameter of the model requires a gradient");
  }
  if (!options.freeze_bn_after) options.freeze_bn_after = is_calibrated(model) ? 0 : 1;
  return QatTrainer(std::make_unique<Run>(std::move(model), std::move(options)));
}

void QatTrainer::set_teacher(const GraphModule* teacher) { run_->teacher = teacher; }
absl::StatusOr<bool> QatTrainer::resume() { return run_->resume(); }
absl::StatusOr<TrainReport> QatTrainer::fit(BatchSource& data, BatchSource* validation) {
  return run_->fit(data, validation);
}
ObservedGraphModule& QatTrainer::model() { return run_->model; }
ObservedGraphModule QatTrainer::take_model() && { return std::move(run_->model); }

}  // namespace fxq
