// quantize_digits MODEL.pt IMAGES.npy: float TorchScript -> int8, run and exported as digits.onnx.
// value() throws with the whole message if a step fails.
#include <torch/torch.h>

#include <iostream>

#include "fxq/data/npy.h"
#include "fxq/export/onnx_export.h"
#include "fxq/graph/tensor_convert.h"
#include "fxq/quant/convert_fx.h"
#include "fxq/quant/fuse_fx.h"
#include "fxq/quant/prepare_fx.h"
#include "fxq/runtime/executor.h"
#include "fxq/runtime/lower/lower.h"
#include "fxq/tracer/trace.h"

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const fxq::HostTensor images = fxq::read_npy(argv[2]).value();
  const at::Tensor batch = fxq::to_at_tensor(images);
  fxq::TraceOptions with_shapes;
  with_shapes.example_inputs = {batch};
  const fxq::GraphModule model = fxq::trace_file(argv[1], with_shapes).value();
  const auto observed = fxq::prepare_calibration_fx(fxq::fuse_fx(model).value()).value();
  for (const at::Tensor& part : batch.split(32)) observed.forward({part}).value();  // calibrate
  const fxq::QuantizedGraph int8 = fxq::convert_fx(observed).value();
  auto executor = fxq::Executor::create(fxq::lower(int8.graph_module()).value()).value();
  const at::Tensor logits = fxq::to_at_tensor(executor->run({images}).value()[0]);
  const at::Tensor expected = model.forward({batch}).value().toTensor();
  std::cout << "same class as float on " << (logits.argmax(1) == expected.argmax(1)).sum().item()
            << " of " << batch.size(0) << " images\n";
  fxq::ExportOptions opset13;
  opset13.opset_version = 13;  // the first with weights quantized per channel
  return fxq::export_to_onnx(int8, {batch}, "digits.onnx", opset13).ok() ? 0 : 1;
}
