// What a step of quantization-aware training costs: forward, backward and an SGD step of the float
// model in train() mode, and of the same model prepared with each kind of fake quantizer, in turn;
// minimum and median of the runs, as ratios. torch.ao's own ratio on the same net:
// bench/qat_step_torch_ao.py, which this runs beside, if FXQ_BENCH_PYTHON names a Python with
// torch.
//   ./dev bench qat_step     FXQ_BENCH_MODEL, FXQ_BENCH_INPUT (default: mobilenet_v2, 8x3x64x64)
#include <ATen/Parallel.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <fmt/format.h>
#include <torch/optim/sgd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>

#include "fxq/base/status.h"
#include "fxq/quant/prepare_fx.h"
#include "fxq/tracer/shape_prop.h"
#include "fxq/tracer/trace.h"
#include "settings.h"

namespace fxq {
namespace {

// A model that trains, and what its steps took.
struct Side {
  std::string name;
  GraphModule gm;
  std::unique_ptr<torch::optim::SGD> optimizer;
  std::vector<double> ms;

  Side(std::string side_name, GraphModule model)
      : name(std::move(side_name)), gm(std::move(model)) {
    optimizer = std::make_unique<torch::optim::SGD>(gm.parameters(),
                                                    torch::optim::SGDOptions(1e-4).momentum(0.9));
  }

  absl::Status step(const at::Tensor& x, const at::Tensor& y) {
    const auto start = std::chrono::steady_clock::now();
    optimizer->zero_grad();
    FXQ_ASSIGN_OR_RETURN(const c10::IValue out, gm.forward({x}));
    at::cross_entropy_loss(out.toTensor(), y).backward();
    optimizer->step();
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
    ms.push_back(took.count());
    return absl::OkStatus();
  }
};

absl::Status run() {
  const std::string path =
      setting("FXQ_BENCH_MODEL", std::string(FXQ_MODELS_DIR) + "/mobilenet_v2.script.pt");
  const std::string shape = setting("FXQ_BENCH_INPUT", "8x3x64x64");
  FXQ_ASSIGN_OR_RETURN(GraphModule gm, trace_file(path));
  const at::Tensor x = at::randn(dims(shape));
  const at::Tensor y = at::randint(0, 10, {x.size(0)}, at::kLong);
  gm.eval();
  FXQ_RETURN_IF_ERROR(propagate_shapes(gm, {x}));
  gm.train();
  std::vector<Side> sides;
  sides.emplace_back("float", gm.copy(GraphModule::Copy::kCloneAll));
  for (const QatMode mode : {QatMode::WithBN, QatMode::FuseBN}) {
    for (const char* kind : {"fake_quant", "lsq", "pact"}) {
      QatQConfigOptions options;
      options.activation_fake_quant = options.weight_fake_quant = kind;
      QConfigDict dict;
      FXQ_ASSIGN_OR_RETURN(dict.global, get_default_qat_qconfig(options));
      PrepareOptions prepare;
      prepare.qat_mode = mode;
      FXQ_ASSIGN_OR_RETURN(ObservedGraphModule model, prepare_qat_fx(gm, dict, prepare));
      sides.emplace_back(fmt::format("{} {}", mode == QatMode::WithBN ? "WithBN" : "FuseBN", kind),
                         std::move(model.graph_module()));
    }
  }
  constexpr int kRounds = 12;
  for (int round = 0; round < kRounds; ++round) {
    for (Side& side : sides) FXQ_RETURN_IF_ERROR(side.step(x, y));
  }
  fmt::print("{} {}, {} threads\n", path, shape, at::get_num_threads());
  fmt::print("{:18} {:>9} {:>7} {:>10} {:>7}\n", "", "min ms", "", "median ms", "");
  for (Side& side : sides) std::sort(side.ms.begin(), side.ms.end());
  for (const Side& side : sides) {
    const size_t middle = side.ms.size() / 2;
    fmt::print("{:18} {:9.1f} {:6.2f}x {:10.1f} {:6.2f}x\n", side.name, side.ms[0],
               side.ms[0] / sides[0].ms[0], side.ms[middle], side.ms[middle] / sides[0].ms[middle]);
  }
  const std::string python = setting("FXQ_BENCH_PYTHON", "");
  if (python.empty()) return absl::OkStatus();
  std::fflush(stdout);
  const std::string command = fmt::format("{} {}/bench/qat_step_torch_ao.py {} {}", python,
                                          FXQ_SOURCE_DIR, shape, at::get_num_threads());
  return std::system(command.c_str()) == 0 ? absl::OkStatus()
                                           : absl::UnavailableError(command + " failed");
}

}  // namespace
}  // namespace fxq

int main() {
  const absl::Status status = fxq::run();
  if (!status.ok()) fmt::print(stderr, "{}\n", std::string(status.message()));
  return status.ok() ? 0 : 1;
}
