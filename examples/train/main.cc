// From a float model to int8, in four steps: calibrate, train from the calibrated scales, convert,
// compare. `train FOLDER` lets scales follow the data; `train FOLDER frozen` keeps activations at
// their calibrated scales (averaging_constant 0) and trains weights only, as is advised after a
// good calibration. Weights have one scale for each tensor and six steps, so that there is
// something to win.
#include <cstdio>

#include "digits_task.h"
#include "fxq/quant/fake_quantize.h"
#include "fxq/quant/prepare_fx.h"
#include "fxq/train/qat_trainer.h"

namespace {

constexpr int64_t kTraining = 240;  // samples; the rest judges

absl::StatusOr<fxq::QConfig> coarse(fxq::QConfig qconfig) {
  fxq::FakeQuantizeFactory weight(qconfig.weight->options());
  FXQ_ASSIGN_OR_RETURN(
      qconfig.weight,
      weight.with_args({{"observer", "MinMaxObserver"}, {"quant_min", -3}, {"quant_max", 2}}));
  return qconfig;
}

absl::StatusOr<fxq::QConfigDict> qconfigs(bool training, bool frozen) {
  fxq::QatQConfigOptions options;
  if (frozen) options.activation_qkwargs = {{"averaging_constant", 0.0}};
  FXQ_ASSIGN_OR_RETURN(const fxq::QConfig standard, training ? fxq::get_default_qat_qconfig(options)
                                                             : fxq::get_default_calib_qconfig());
  fxq::QConfigDict dict;
  FXQ_ASSIGN_OR_RETURN(dict.global, coarse(standard));
  return dict;
}

absl::Status run(const std::string& folder, bool frozen) {
  FXQ_ASSIGN_OR_RETURN(const digits::Task task, digits::open(folder));
  FXQ_ASSIGN_OR_RETURN(const auto data, digits::samples(task, 0, kTraining));
  FXQ_ASSIGN_OR_RETURN(const auto unseen, digits::samples(task, kTraining, task.labels.size(0)));
  FXQ_ASSIGN_OR_RETURN(const double floating, fxq::evaluate_top1(task.model, *unseen));

  FXQ_ASSIGN_OR_RETURN(const fxq::QConfigDict calibration, qconfigs(false, false));
  FXQ_ASSIGN_OR_RETURN(fxq::ObservedGraphModule calibrated,
                       fxq::prepare_calibration_fx(task.model, calibration));
  for (const at::Tensor& batch : task.images.slice(0, 0, kTraining).split(16)) {
    FXQ_RETURN_IF_ERROR(calibrated.forward({batch}).status());
  }
  FXQ_ASSIGN_OR_RETURN(const double before, fxq::evaluate_top1(calibrated, *unseen));

  FXQ_ASSIGN_OR_RETURN(const fxq::QConfigDict training, qconfigs(true, frozen));
  FXQ_ASSIGN_OR_RETURN(fxq::ObservedGraphModule model, fxq::prepare_qat_fx(calibrated, training));
  fxq::TrainOptions options;
  options.epochs = 10;
  options.learning_rate = 0.02;
  FXQ_ASSIGN_OR_RETURN(fxq::QatTrainer trainer, fxq::QatTrainer::create(std::move(model), options));
  FXQ_RETURN_IF_ERROR(trainer.fit(*data, unseen.get()).status());
  FXQ_ASSIGN_OR_RETURN(const double after, fxq::evaluate_top1(trainer.model(), *unseen));
  std::printf("top-1: float %.1f %%, calibrated %.1f %%, trained %.1f %%\n", 100 * floating,
              100 * before, 100 * after);
  for (const auto& [path, fake_quant] : trainer.model().fake_quants()) {
    std::printf("  %s: %s\n", path.c_str(), fake_quant->extra_repr().c_str());
  }
  return absl::OkStatus();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: train FOLDER_OF_DIGITS [frozen]\n");
    return 2;
  }
  const absl::Status status = run(argv[1], argc > 2 && std::string(argv[2]) == "frozen");
  if (!status.ok()) std::fprintf(stderr, "%s\n", std::string(status.message()).c_str());
  return status.ok() ? 0 : 1;
}
