// Data-parallel training by two local processes: `train_parallel FOLDER` starts itself once more,
// each takes half of every batch, gradients are averaged and observers see the range of the whole
// batch (is_sync_quantize). Then it trains alone on whole batches and compares the scales.
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <map>

#include "digits_task.h"
#include "fxq/distributed/gloo_group.h"
#include "fxq/quant/fake_quantize.h"
#include "fxq/quant/prepare_fx.h"
#include "fxq/train/qat_trainer.h"

namespace {

absl::StatusOr<std::map<std::string, float>> train(const std::string& folder) {
  FXQ_ASSIGN_OR_RETURN(const digits::Task task, digits::open(folder));
  FXQ_ASSIGN_OR_RETURN(const auto data, digits::samples(task, 0, 320));
  fxq::QatQConfigOptions qconfig;
  qconfig.activation_qkwargs = {{"is_sync_quantize", true}};
  fxq::QConfigDict dict;
  FXQ_ASSIGN_OR_RETURN(dict.global, fxq::get_default_qat_qconfig(qconfig));
  FXQ_ASSIGN_OR_RETURN(fxq::ObservedGraphModule model, fxq::prepare_qat_fx(task.model, dict));
  fxq::TrainOptions options;
  options.epochs = 3;
  FXQ_ASSIGN_OR_RETURN(fxq::QatTrainer trainer, fxq::QatTrainer::create(std::move(model), options));
  FXQ_RETURN_IF_ERROR(trainer.fit(*data).status());
  std::map<std::string, float> scales;
  for (const auto& [path, fake_quant] : trainer.model().fake_quants()) {
    scales[path] = fake_quant->scale().max().item<float>();
  }
  return scales;
}

absl::Status run(const std::string& folder) {
  const std::string store =
      std::filesystem::temp_directory_path() / ("fxq_train_" + std::to_string(::getpid()));
  const pid_t child = ::fork();  // before any thread of LibTorch's runs
  fxq::GlooOptions options;
  options.rank = child == 0 ? 1 : 0;
  options.size = 2;
  options.file = store;
  FXQ_ASSIGN_OR_RETURN(const auto group, fxq::make_gloo_group(options));
  fxq::set_process_group(group);
  FXQ_ASSIGN_OR_RETURN(const auto together, train(folder));
  if (child == 0) return absl::OkStatus();
  int status = 0;
  ::waitpid(child, &status, 0);
  std::filesystem::remove(store);
  if (status != 0) return absl::UnavailableError("the other process failed");
  fxq::set_process_group(nullptr);
  FXQ_ASSIGN_OR_RETURN(const auto alone, train(folder));
  std::printf("%-20s %12s %12s\n", "scale of", "2 processes", "1 process");
  for (const auto& [path, scale] : alone) {
    std::printf("%-20s %12.6g %12.6g\n", path.c_str(), together.at(path), scale);
  }
  return absl::OkStatus();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: train_parallel FOLDER_OF_DIGITS\n");
    return 2;
  }
  const absl::Status status = run(argv[1]);
  if (!status.ok()) std::fprintf(stderr, "%s\n", std::string(status.message()).c_str());
  return status.ok() ? 0 : 1;
}
