// Prepared graphs (calibration, QAT) as their VALIDATION state runs them: every FakeQuantize is a
// QuantizeLinear and a DequantizeLinear of its present scale, every fake-quantized weight integers
// with a DequantizeLinear. Biases stay floats: the graph has no integers of them yet.
#pragma once

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "fxq/graph/view.h"

namespace fxq {

class Exporter;

// A copy that may be exported. Of a prepared graph: in the VALIDATION state, batch norms folded
// into their ops; FailedPrecondition lists the fake quants that never saw data. Of any other: a
// copy.
absl::StatusOr<GraphModule> exportable_copy(const GraphModule& model);

// The node calls a FakeQuantize.
bool is_fake_quantize(const GraphModule& gm, const Node& node);
// The integers that it stands for; none if it calls something else.
std::optional<Type> fake_quantized_type(const GraphModule& gm, const Node& node);
absl::Status write_fake_quantize(Exporter& exporter, const OpView& view);

// The call's module fake-quantizes its weight.
bool has_fake_quantized_weight(const GraphModule& gm, const Node& node);
// Floats of that weight.
absl::StatusOr<std::string> fake_quantized_weight(Exporter& exporter, const OpView& view);

}  // namespace fxq
