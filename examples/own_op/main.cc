// own_op: a model with an operator of one's own goes the whole way: TorchScript -> graph ->
// calibrated -> int8, fast program equal to the reference bit for bit -> absdiff.onnx.
#include <ATen/ops/equal.h>
#include <ATen/ops/randn.h>
#include <torch/csrc/jit/api/module.h>

#include <cstdio>

#include "absdiff.h"
#include "fxq/base/status.h"
#include "fxq/export/onnx_export.h"
#include "fxq/graph/tensor_convert.h"
#include "fxq/graph/text.h"
#include "fxq/graph/to_torchscript.h"
#include "fxq/quant/compare.h"
#include "fxq/quant/convert_fx.h"
#include "fxq/quant/prepare_fx.h"
#include "fxq/runtime/executor.h"
#include "fxq/runtime/lower/lower.h"
#include "fxq/tracer/trace.h"

namespace {

constexpr const char* kModel = R"(
module @left = conv2d(weight: f32[8,3,3,3], bias: f32[8], padding=[1,1])
module @right = conv2d(weight: f32[8,3,1,1], bias: f32[8])
state * = normal(7)
graph (%x: f32[2,3,16,16]) {
  %a = conv2d @left(%x)
  %b = conv2d @right(%x)
  %d = absdiff(%a, %b)
  return %d
}
)";

// The model as TorchScript and captured again: what a user who exports it from Python has.
absl::StatusOr<fxq::GraphModule> captured_model(const at::Tensor& x) {
  FXQ_ASSIGN_OR_RETURN(const fxq::GraphModule gm, fxq::parse_text(kModel));
  FXQ_ASSIGN_OR_RETURN(const torch::jit::Module script, fxq::to_torchscript(gm));
  fxq::TraceOptions options;
  options.example_inputs = {x};
  return fxq::trace(script, options);
}

absl::Status run() {
  FXQ_RETURN_IF_ERROR(register_absdiff());
  const at::Tensor x = at::randn({2, 3, 16, 16});
  FXQ_ASSIGN_OR_RETURN(const fxq::GraphModule model, captured_model(x));
  FXQ_ASSIGN_OR_RETURN(const auto observed, fxq::prepare_calibration_fx(model));
  FXQ_RETURN_IF_ERROR(observed.forward({x}).status());
  FXQ_ASSIGN_OR_RETURN(const fxq::QuantizedGraph int8, fxq::convert_fx(observed));
  std::printf("%s", fxq::print_text(int8.graph_module()).c_str());

  FXQ_ASSIGN_OR_RETURN(fxq::Program program, fxq::lower(int8.graph_module()));
  FXQ_ASSIGN_OR_RETURN(auto executor, fxq::Executor::create(std::move(program)));
  FXQ_ASSIGN_OR_RETURN(const fxq::HostTensor input, fxq::to_host_tensor(x));
  FXQ_ASSIGN_OR_RETURN(const auto outputs, executor->run({input}));
  FXQ_ASSIGN_OR_RETURN(const c10::IValue expected, int8.forward({x}));
  if (!at::equal(fxq::to_at_tensor(outputs[0]), expected.toTensor())) {
    return absl::InternalError("the fast program differs from the reference");
  }
  FXQ_ASSIGN_OR_RETURN(const c10::IValue real, model.forward({x}));
  FXQ_ASSIGN_OR_RETURN(const double db, fxq::sqnr_db(real, expected));
  std::printf("program equals reference; %.1f dB from float\n", db);
  if (db < 30) return absl::InternalError("int8 is further from float than rounding explains");
  fxq::ExportOptions opset13;
  opset13.opset_version = 13;
  return fxq::export_to_onnx(int8, {x}, "absdiff.onnx", opset13).status();
}

}  // namespace

int main() {
  const absl::Status status = run();
  if (status.ok()) return 0;
  std::fprintf(stderr, "own_op: %s\n", std::string(status.message()).c_str());
  return 1;
}
