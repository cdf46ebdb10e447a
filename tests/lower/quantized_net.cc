// M.pt -> fuse -> prepare -> calibrate on seeded data -> convert.
#include "quantized_net.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cstring>
#include <filesystem>

#include "fxq/base/status.h"
#include "fxq/data/npy.h"
#include "fxq/graph/tensor_convert.h"
#include "fxq/quant/compare.h"
#include "fxq/quant/convert_fx.h"
#include "fxq/quant/fuse_fx.h"
#include "fxq/quant/prepare_fx.h"
#include "fxq/tracer/shape_prop.h"
#include "fxq/tracer/trace.h"

namespace fxq {

bool exists(const FixtureNet& net) {
  return std::filesystem::exists(net.model) && std::filesystem::exists(net.calib);
}

absl::StatusOr<ObservedGraphModule> calibrate(const FixtureNet& net,
                                              const QuantizeNetOptions& request) {
  FXQ_ASSIGN_OR_RETURN(const HostTensor data, read_npy(net.calib));
  const at::Tensor calib = to_at_tensor(data).slice(0, 0, request.samples);
  TraceOptions options;
  options.example_inputs = {calib.slice(0, 0, 1)};
  FXQ_ASSIGN_OR_RETURN(GraphModule gm, trace_file(net.model, options));
  gm.eval();
  FXQ_RETURN_IF_ERROR(propagate_shapes(gm, {calib.slice(0, 0, 1)}));
  FXQ_ASSIGN_OR_RETURN(const GraphModule fused, fuse_fx(gm));
  FXQ_ASSIGN_OR_RETURN(const QConfig standard, get_default_calib_qconfig());
  QConfigDict qconfigs;
  qconfigs.global = request.qconfig.value_or(standard);
  FXQ_ASSIGN_OR_RETURN(ObservedGraphModule observed,
                       prepare_calibration_fx(fused, qconfigs, request.prepare));
  for (const at::Tensor& sample : calib.split(1)) {
    FXQ_RETURN_IF_ERROR(observed.forward({sample}).status());
  }
  return observed;
}

absl::StatusOr<QuantizedGraph> quantize(const FixtureNet& net, const QuantizeNetOptions& request) {
  FXQ_ASSIGN_OR_RETURN(const ObservedGraphModule observed, calibrate(net, request));
  return convert_fx(observed);
}

std::string difference(const QuantizedGraph& model, Executor& executor,
                       const std::vector<std::vector<int64_t>>& shapes) {
  std::vector<c10::IValue> values;
  std::vector<HostTensor> inputs;
  const std::vector<Node*> placeholders = model.graph_module().graph().placeholders();
  for (size_t i = 0; i < shapes.size(); ++i) {
    const bool integers = placeholders.at(i)->type.dtype == DType::kI64;
    const at::Tensor input =
        integers ? at::randint(0, 8, shapes[i], at::kLong) : at::randn(shapes[i]);
    values.emplace_back(input);
    inputs.push_back(*to_host_tensor(input));
  }
  const auto expected = model.forward(values);
  if (!expected.ok()) return "reference: " + expected.status().ToString();
  const auto actual = executor.run(inputs);
  if (!actual.ok()) return "program: " + actual.status().ToString();
  const std::vector<at::Tensor> tensors = flatten_tensors(*expected);
  if (tensors.size() != actual->size()) {
    return fmt::format("{} outputs instead of {}", actual->size(), tensors.size());
  }
  for (size_t i = 0; i < tensors.size(); ++i) {
    const HostTensor wanted = *to_host_tensor(tensors[i]);
    const HostTensor& got = (*actual)[i];
    if (wanted.dims() != got.dims() || wanted.dtype() != got.dtype()) {
      return fmt::format("output {} is {}, not {}", i, got.describe(), wanted.describe());
    }
    if (std::memcmp(wanted.bytes(), got.bytes(), wanted.byte_size()) != 0) {
      return fmt::format("output {} differs by up to {}", i,
                         (to_at_tensor(got) - tensors[i]).abs().max().item<double>());
    }
  }
  return "";
}

}  // namespace fxq
