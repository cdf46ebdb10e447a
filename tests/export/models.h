// The fixture nets (tests/models/make_models.py) as graphs, float and int8, and graphs from text.
#pragma once

#include <ATen/core/ivalue.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "fxq/graph/graph_module.h"
#include "fxq/quant/qconfig.h"
#include "fxq/quant/quantized_graph.h"

namespace fxq::export_test {

bool has_fixture(const std::string& name, const std::string& kind);

struct FloatNet {
  GraphModule graph;
  std::vector<c10::IValue> input;
};
// "resnet18", "script"; the test fails and the graph is empty if it cannot be read.
FloatNet fixture(const std::string& name, const std::string& kind);
// Calibrated on the fixture's own data.
at::Tensor calibration_images(const std::string& name);
std::optional<QuantizedGraph> quantize_fixture(const std::string& name, const GraphModule& model);

// A graph in the text form.
FloatNet text_net(const std::string& text);
std::optional<QuantizedGraph> quantize_net(const FloatNet& net);
std::optional<QuantizedGraph> quantize_net(const FloatNet& net, const QConfig& qconfig,
                                           March march = March::CPU);

// Seeded normal values of the placeholders' types.
std::vector<c10::IValue> random_inputs(const GraphModule& gm, uint64_t seed);

}  // namespace fxq::export_test
