// Known values: what a model computes from shapes and constants alone, so that an export for these
// shapes may write it down: window sizes, masks, the numbers that dtypes and devices stand for.
#pragma once

#include <string>
#include <unordered_map>
#include <unordered_set>

#include "absl/status/status.h"
#include "fxq/export/onnx_export.h"

namespace fxq {

using KnownValues = std::unordered_map<std::string, c10::IValue>;  // by node

// Nodes whose values no input's elements decide. Tensors only where `options` allow folding.
std::unordered_set<std::string> data_free_nodes(const GraphModule& model,
                                                const ExportOptions& options);

bool same_value(const c10::IValue& a, const c10::IValue& b);

// Drops from `values` what another run, with other sizes, has differently.
void keep_common(KnownValues& values, const KnownValues& other);

// Uses of these nodes become constants; nodes that nobody uses any more go.
absl::Status write_known_values(GraphModule& model, const KnownValues& values);

}  // namespace fxq
