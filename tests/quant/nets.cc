// Graph text with weights drawn from a seed.
#include "nets.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/randn.h>

#include "fxq/graph/text.h"
#include "fxq/graph/verifier.h"
#include "fxq/quant/qconfig.h"

namespace fxq::quant_test {

std::shared_ptr<FakeQuantize> made(const QKwargs& kwargs) {
  auto factory = FakeQuantizeFactory().with_args(kwargs);
  EXPECT_TRUE(factory.ok()) << factory.status();
  auto module = (*factory)();
  EXPECT_TRUE(module.ok()) << module.status();
  return *module;
}

GraphModule net(const std::string& text) {
  auto gm = parse_text(text);
  EXPECT_TRUE(gm.ok()) << gm.status() << "\n" << text;
  if (!gm.ok()) return GraphModule();
  EXPECT_TRUE(verify(*gm).ok()) << verify(*gm);
  return *std::move(gm);
}

at::Tensor random(std::vector<int64_t> sizes, uint64_t seed, double scale) {
  auto generator = at::make_generator<at::CPUGeneratorImpl>(seed);
  return at::randn(sizes, generator) * scale;
}

std::vector<c10::IValue> random_inputs(const GraphModule& gm, uint64_t seed) {
  std::vector<c10::IValue> inputs;
  for (const Node* node : gm.graph().placeholders()) {
    std::vector<int64_t> sizes;
    for (const Dim& dim : *node->type.dims) sizes.push_back(dim.is_known() ? dim.size : 2);
    inputs.emplace_back(random(sizes, seed * 31 + inputs.size()));
  }
  return inputs;
}

Stages quantize_net(const std::string& text, const StagesOptions& options) {
  const GraphModule model = net(text);
  QConfigDict qconfigs = options.qconfigs;
  if (!qconfigs.global) qconfigs.global = *get_default_calib_qconfig();
  auto observed = prepare_calibration_fx(model, qconfigs, options.prepare);
  EXPECT_TRUE(observed.ok()) << observed.status();
  if (!observed.ok()) return {};
  for (int i = 0; i < options.batches; ++i) {
    auto result = observed->forward(random_inputs(model, static_cast<uint64_t>(i + 1)));
    EXPECT_TRUE(result.ok()) << result.status();
  }
  auto quantized = convert_fx(*observed);
  EXPECT_TRUE(quantized.ok()) << quantized.status();
  if (!quantized.ok()) return {};
  EXPECT_TRUE(set_fake_quantize(*observed, FakeQuantState::VALIDATION).ok());
  return {std::move(observed->graph_module()), std::move(quantized->graph_module()),
          quantized->report, random_inputs(model, 1)};
}

std::string graph_text(const GraphModule& gm) {
  PrintOptions options;
  options.types = false;
  const std::string text = print_text(gm, options);
  return text.substr(text.find("graph ("));
}

}  // namespace fxq::quant_test
