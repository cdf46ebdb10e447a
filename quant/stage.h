// What a graph's settings say about quantization: they travel through copy, save and load.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "fxq/graph/graph_module.h"
#include "fxq/quant/march.h"
#include "fxq/quant/quant_report.h"

namespace fxq {

inline constexpr const char* kStageSetting = "stage";
inline constexpr const char* kStageObserved = "observed";
inline constexpr const char* kStageQuantized = "quantized";
inline constexpr const char* kMarchSetting = "march";
// Ops that stay float, as "name=E001: reason" joined by "\n".
inline constexpr const char* kFloatOpsSetting = "float_ops";

// FailedPrecondition, naming `function`, unless the graph is at that stage ("": a float graph).
absl::Status require_stage(const GraphModule& gm, const std::string& stage,
                           const std::string& function);
absl::StatusOr<March> march_of(const GraphModule& gm);

void store_float_ops(const QuantReport& report, GraphModule& gm);
// Which ops of a prepared or quantized graph stay float: node -> {code, reason}.
std::map<std::string, std::pair<std::string, std::string>> float_ops(const GraphModule& gm);
// The report of a prepared or quantized graph, from its settings.
QuantReport report_of(const GraphModule& gm);

// What preserved_attributes name: modules and tensors of `from` by path (or all below one), and
// settings by key. Puts what `to` has lost back, shared. InvalidArgument lists the names that
// `from` does not have, each with the nearest one.
absl::Status preserve_attributes(const GraphModule& from, const std::vector<std::string>& names,
                                 GraphModule& to);

}  // namespace fxq
