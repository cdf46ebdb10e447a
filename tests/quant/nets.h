// Small nets as text, with seeded weights, for the tests of this folder.
#pragma once

#include <ATen/core/ivalue.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "fxq/graph/graph_module.h"
#include "fxq/quant/convert_fx.h"
#include "fxq/quant/fake_quantize.h"
#include "fxq/quant/prepare_fx.h"

namespace fxq::quant_test {

// Fails the test, and gives an empty graph, if the text does not parse.
GraphModule net(const std::string& text);

// FakeQuantize.with_args(kwargs)(); a failure of the test if it refuses.
std::shared_ptr<FakeQuantize> made(const QKwargs& kwargs = {});

// Seeded normal values.
at::Tensor random(std::vector<int64_t> sizes, uint64_t seed = 1, double scale = 1.0);

// Prepares, runs `batches` of seeded data of the placeholders' types (the first dim may be a
// symbol: `batch`), converts.
struct Stages {
  GraphModule observed;  // in the state VALIDATION
  GraphModule quantized;
  QuantReport report;
  std::vector<c10::IValue> input;
};
struct StagesOptions {
  PrepareOptions prepare;
  QConfigDict qconfigs;  // empty: the default calibration qconfig
  int batches = 4;
};
Stages quantize_net(const std::string& text, const StagesOptions& options = {});
std::vector<c10::IValue> random_inputs(const GraphModule& gm, uint64_t seed);

// Text of the graph alone: from "graph (" on, types of nodes left out.
std::string graph_text(const GraphModule& gm);

constexpr const char* kConvReluLinear = R"(
module @conv = conv2d(weight: f32[8,3,3,3], bias: f32[8], stride=[1,1], padding=[1,1])
module @fc = linear(weight: f32[10,8], bias: f32[10])
state @conv.weight = normal(1, 0.2)
state @conv.bias = normal(2, 0.3)
state @fc.weight = normal(3, 0.3)
state @fc.bias = normal(4)
graph (%x: f32[2,3,8,8]) {
  %conv = conv2d @conv(%x) : f32[2,8,8,8]
  %relu = relu(%conv) : f32[2,8,8,8]
  %pool = adaptive_avg_pool2d(%relu, [1,1]) : f32[2,8,1,1]
  %flat = flatten(%pool, 1) : f32[2,8]
  %fc = linear @fc(%flat) : f32[2,10]
  return %fc
}
)";

}  // namespace fxq::quant_test
