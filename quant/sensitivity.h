// Sensitivity: what each op's quantization alone costs the model's outputs. All fake quants are off
// but those of one op (its weight's and its result's); the SQNR of the outputs ranks the ops.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "fxq/graph/graph_module.h"
#include "fxq/quant/observed_graph.h"
#include "fxq/quant/qconfig.h"

namespace fxq {

struct LayerSensitivity {
  std::string node;
  std::string op;      // "conv2d"; of a model's input: "input"
  std::string module;  // what names it in a qconfig; "" if nothing names it alone
  double sqnr_db = 0;  // of the outputs with only this op quantized
};

using Batches = std::vector<std::vector<c10::IValue>>;

// The most sensitive first. `floats` is what fuse_fx gave and `observed` was prepared from,
// calibrated. Costs one run of the model for each op and batch.
absl::StatusOr<std::vector<LayerSensitivity>> rank_layers(const GraphModule& floats,
                                                          const ObservedGraphModule& observed,
                                                          const Batches& batches);

// SQNR of the fake quantized outputs against float, all ops quantized.
absl::StatusOr<double> output_sqnr_db(const GraphModule& floats,
                                      const ObservedGraphModule& observed, const Batches& batches);

// The dict with the `count` most sensitive ops that can be named kept in float.
QConfigDict keep_in_float(QConfigDict dict, const std::vector<LayerSensitivity>& ranking,
                          size_t count);

}  // namespace fxq
