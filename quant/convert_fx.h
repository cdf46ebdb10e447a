// convert_fx: a calibrated or trained graph becomes a QuantizedGraph: fake quants turn into integer
// types, weighted modules into integer ones, and quantize and dequantize nodes stand where integers
// and floats meet, one per value. The prepared graph does not change.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "fxq/quant/observed_graph.h"
#include "fxq/quant/quantized_graph.h"

namespace fxq {

struct ConvertCustomConfig {
  std::vector<std::string> preserved_attributes;  // as FuseCustomConfig's
};

struct ConvertOptions {
  ConvertCustomConfig convert_custom_config;
  bool remove_qconfig = true;       // what set_qconfig said goes
  bool allow_uncalibrated = false;  // scales that never saw data stay 1.0 and are noted
  std::optional<March> march;       // must be the one that the model was prepared for
};

// Errors list all their causes: values without calibration, channels whose sums pass 32 bits.
absl::StatusOr<QuantizedGraph> convert_fx(const ObservedGraphModule& model,
                                          const ConvertOptions& options = {});

}  // namespace fxq
