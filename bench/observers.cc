// What calibration costs: the prepared model's forward with each observer, against the float
// model's on the same batch (best of the runs), as a ratio.
//   ./dev bench observers      FXQ_BENCH_MODEL: a .pt (default: resnet50); FXQ_BENCH_INPUT: its
//   input (default: 8x3x224x224); FXQ_BENCH_THREADS: of ATen (default: all)
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/randn.h>
#include <fmt/format.h>
#include <torch/csrc/jit/api/module.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <limits>
#include <memory>

#include "fxq/base/status.h"
#include "fxq/quant/fuse_fx.h"
#include "fxq/quant/prepare_fx.h"
#include "fxq/tracer/shape_prop.h"
#include "fxq/tracer/trace.h"
#include "settings.h"

namespace fxq {
namespace {

struct Side {
  std::string name;
  std::function<absl::Status()> run;
  double ms = std::numeric_limits<double>::infinity();  // the best run
};

// All sides in turn, so that a busy moment hits none alone.
absl::Status run_in_turn(std::vector<Side>& sides) {
  for (int round = 0; round < 6; ++round) {
    for (Side& side : sides) {
      const auto start = std::chrono::steady_clock::now();
      FXQ_RETURN_IF_ERROR(side.run());
      const std::chrono::duration<double, std::milli> time =
          std::chrono::steady_clock::now() - start;
      side.ms = std::min(side.ms, time.count());
    }
  }
  return absl::OkStatus();
}

absl::Status measure() {
  const std::string path = setting("FXQ_BENCH_MODEL", FXQ_MODELS_DIR "/resnet50.script.pt");
  const at::Tensor x = at::randn(dims(setting("FXQ_BENCH_INPUT", "8x3x224x224")));
  TraceOptions options;
  options.example_inputs = {x};
  FXQ_ASSIGN_OR_RETURN(GraphModule gm, trace_file(path, options));
  gm.eval();
  FXQ_RETURN_IF_ERROR(propagate_shapes(gm, {x}));
  FXQ_ASSIGN_OR_RETURN(const GraphModule fused, fuse_fx(gm));
  std::vector<Side> sides;
  sides.push_back({"float", [&] { return gm.forward({x}).status(); }});
  sides.push_back({"float, fused", [&] { return fused.forward({x}).status(); }});
  for (const char* name : {"min_max", "percentile", "mse", "mix", "kl", "clip_std"}) {
    QConfigDict qconfigs;
    FXQ_ASSIGN_OR_RETURN(qconfigs.global, get_default_calib_qconfig("qint8", {{"observer", name}}));
    FXQ_ASSIGN_OR_RETURN(ObservedGraphModule observed, prepare_calibration_fx(fused, qconfigs));
    auto model = std::make_shared<ObservedGraphModule>(std::move(observed));
    sides.push_back({name, [model, &x] { return model->forward({x}).status(); }});
  }
  const at::NoGradGuard no_grad;
  FXQ_RETURN_IF_ERROR(run_in_turn(sides));
  fmt::print("{}, {} threads\n{:<14}{:>9}  {:>9}\n", path, at::get_num_threads(), "", "ms",
             "of float");
  for (const Side& side : sides) {
    fmt::print("{:<14}{:>9.1f}  {:>9.2f}\n", side.name, side.ms, side.ms / sides[0].ms);
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace fxq

int main() {
  const char* threads = std::getenv("FXQ_BENCH_THREADS");
  if (threads) at::set_num_threads(std::max(1, std::atoi(threads)));
  const absl::Status status = fxq::measure();
  if (!status.ok()) fmt::print(stderr, "error: {}\n", std::string(status.message()));
  return status.ok() ? 0 : 1;
}
