// A fixture net, quantized as the CLI does it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "fxq/base/host_tensor.h"
#include "fxq/quant/prepare_fx.h"
#include "fxq/quant/qconfig.h"
#include "fxq/quant/quantized_graph.h"
#include "fxq/runtime/executor.h"

namespace fxq {

struct FixtureNet {
  std::string model;  // path of a .pt
  std::string calib;  // path of a .npy
};

bool exists(const FixtureNet& net);
struct QuantizeNetOptions {
  int64_t samples = 4;             // at most, one at a time
  std::optional<QConfig> qconfig;  // none: the default calibration qconfig
  PrepareOptions prepare;
};
absl::StatusOr<ObservedGraphModule> calibrate(const FixtureNet& net,
                                              const QuantizeNetOptions& options = {});
absl::StatusOr<QuantizedGraph> quantize(const FixtureNet& net,
                                        const QuantizeNetOptions& options = {});

// Empty if the executor's outputs on standard normal inputs of these shapes have the reference
// interpreter's bytes; else what differs.
std::string difference(const QuantizedGraph& model, Executor& executor,
                       const std::vector<std::vector<int64_t>>& shapes);

}  // namespace fxq
