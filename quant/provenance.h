// What a prepared or quantized graph knows of how it was made: settings that travel through copy,
// save and load beside stage and march. Old files without them load; files of a newer form say what
// to do.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "fxq/graph/graph_module.h"
#include "fxq/quant/observed_graph.h"
#include "fxq/quant/qconfig.h"

namespace fxq {

// The form of these settings and of quantized graphs; raised when readers of today could not read
// what is written then.
inline constexpr int kQuantFormat = 1;
inline constexpr const char* kQuantFormatSetting = "quant_format";
inline constexpr const char* kVersionSetting = "fxq_version";      // "0.1.0"
inline constexpr const char* kTorchSetting = "libtorch_version";   // "1.13.1"
inline constexpr const char* kQConfigsSetting = "qconfigs";        // to_json, on one line
inline constexpr const char* kCalibrationSetting = "calibration";  // a fingerprint

// At prepare: format, versions, config.
void store_config(const QConfigDict& dict, GraphModule& gm);
// At convert: xxh3 of all scales and dtypes by their paths. The same model, settings and data give
// the same one.
std::string calibration_fingerprint(const ObservedGraphModule& model);

// FailedPrecondition if the graph's form is newer than this build's.
absl::Status check_quant_format(const GraphModule& gm);

}  // namespace fxq
