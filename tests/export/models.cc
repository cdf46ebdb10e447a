// Nets from fixtures and from text, prepared as the CLI does it.
#include "models.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/randn.h>

#include <filesystem>

#include "fxq/data/npy.h"
#include "fxq/graph/tensor_convert.h"
#include "fxq/graph/text.h"
#include "fxq/graph/verifier.h"
#include "fxq/quant/convert_fx.h"
#include "fxq/quant/prepare_fx.h"
#include "fxq/tracer/shape_prop.h"
#include "fxq/tracer/trace.h"

namespace fxq::export_test {
namespace {

std::string path_of(const std::string& file) { return std::string(FXQ_MODELS_DIR) + "/" + file; }

at::Tensor read(const std::string& file) {
  auto tensor = read_npy(path_of(file));
  EXPECT_TRUE(tensor.ok()) << tensor.status();
  return tensor.ok() ? to_at_tensor(*tensor).clone() : at::Tensor();
}

std::optional<QuantizedGraph> quantize(const GraphModule& model,
                                       const std::vector<std::vector<c10::IValue>>& batches,
                                       const QConfig& qconfig = *get_default_calib_qconfig(),
                                       March march = March::CPU) {
  QConfigDict qconfigs;
  qconfigs.global = qconfig;
  PrepareOptions options;
  options.march = march;
  auto observed = prepare_calibration_fx(model, qconfigs, options);
  EXPECT_TRUE(observed.ok()) << observed.status();
  if (!observed.ok()) return std::nullopt;
  for (const auto& batch : batches) {
    const auto result = observed->forward(batch);
    EXPECT_TRUE(result.ok()) << result.status();
  }
  auto quantized = convert_fx(*observed);
  EXPECT_TRUE(quantized.ok()) << quantized.status();
  if (!quantized.ok()) return std::nullopt;
  return *std::move(quantized);
}

}  // namespace

bool has_fixture(const std::string& name, const std::string& kind) {
  return std::filesystem::exists(path_of(name + "." + kind + ".pt"));
}

FloatNet fixture(const std::string& name, const std::string& kind) {
  FloatNet net;
  net.input = {read(name + ".input.npy")};
  TraceOptions options;
  options.mode = TraceOptions::Mode::kEval;
  options.example_inputs = net.input;
  auto gm = trace_file(path_of(name + "." + kind + ".pt"), options);
  EXPECT_TRUE(gm.ok()) << gm.status();
  if (!gm.ok()) return net;
  gm->eval();
  const absl::Status typed = propagate_shapes(*gm, net.input);
  EXPECT_TRUE(typed.ok()) << typed;
  net.graph = *std::move(gm);
  return net;
}

at::Tensor calibration_images(const std::string& name) { return read(name + ".calib.npy"); }

std::optional<QuantizedGraph> quantize_fixture(const std::string& name, const GraphModule& model) {
  std::vector<std::vector<c10::IValue>> batches;
  for (const at::Tensor& batch : calibration_images(name).split(4)) batches.push_back({batch});
  return quantize(model, batches);
}

FloatNet text_net(const std::string& text) {
  auto gm = parse_text(text);
  EXPECT_TRUE(gm.ok()) << gm.status() << "\n" << text;
  FloatNet net;
  if (!gm.ok()) return net;
  EXPECT_TRUE(verify(*gm).ok()) << verify(*gm);
  gm->eval();
  net.input = random_inputs(*gm, 7);
  const absl::Status typed = propagate_shapes(*gm, net.input);
  EXPECT_TRUE(typed.ok()) << typed << "\n" << text;
  net.graph = *std::move(gm);
  return net;
}

std::optional<QuantizedGraph> quantize_net(const FloatNet& net) {
  return quantize_net(net, *get_default_calib_qconfig());
}

std::optional<QuantizedGraph> quantize_net(const FloatNet& net, const QConfig& qconfig,
                                           March march) {
  std::vector<std::vector<c10::IValue>> batches{net.input};
  for (uint64_t seed = 1; seed < 4; ++seed) batches.push_back(random_inputs(net.graph, seed));
  return quantize(net.graph, batches, qconfig, march);
}

std::vector<c10::IValue> random_inputs(const GraphModule& gm, uint64_t seed) {
  auto generator = at::make_generator<at::CPUGeneratorImpl>(seed);
  std::vector<c10::IValue> inputs;
  for (const Node* node : gm.graph().placeholders()) {
    std::vector<int64_t> sizes;
    for (const Dim& dim : *node->type.dims) sizes.push_back(dim.is_known() ? dim.size : 2);
    inputs.emplace_back(at::randn(sizes, generator));
  }
  return inputs;
}

}  // namespace fxq::export_test
