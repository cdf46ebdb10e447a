// The API page's eager functions: qconfigs sit on modules (set_qconfig), and prepare and convert
// take the model as it is, without fusing it: fuse_modules first. A model is a GraphModule, whose
// modules go by path (of a TorchScript module: eager_script.h). `mapping` swaps modules by their
// class, the from_float of users' own classes.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "fxq/graph/leaf_module.h"
#include "fxq/quant/convert_fx.h"
#include "fxq/quant/prepare_fx.h"

namespace fxq {

inline constexpr const char* kModuleQConfigSetting = "module_qconfig";

// Python's `module.qconfig = qconfig` (nullopt: None, not quantized); "" is the whole model. The
// nearest ancestor with one decides. Kept in the model's settings, through copy, save and load;
// prepare_*_fx rank them above their qconfig_dict. NotFound names the nearest path.
absl::Status set_qconfig(GraphModule& model, const std::string& path,
                         const std::optional<QConfig>& qconfig);
// What set_qconfig has set, as module_qconfig entries. DataLoss if the setting is damaged.
absl::StatusOr<QConfigDict::Entries> qconfigs_of(const GraphModule& model);

// Class name of the source -> makes the module that takes its place.
using ModuleSwap =
    std::function<absl::StatusOr<std::shared_ptr<LeafModule>>(const LeafModule& from)>;
using ModuleMapping = std::map<std::string, ModuleSwap>;

// Swaps each module whose class is in the mapping (by its full name, or the part behind the last
// dot); its calls follow. Errors name the module.
absl::Status swap_modules(GraphModule& gm, const ModuleMapping& mapping);

struct EagerOptions {
  ModuleMapping mapping;
  bool inplace = false;  // the result has the model's own tensors: what trains is the model
  bool optimize_graph = false;
  // What the march lacks runs on the CPU. Nothing is inserted before a quantized op that reads a
  // float value: InvalidArgument names each that has no QuantStub there.
  bool hybrid = false;
  March march = get_march();
};

// In eval() mode, ready to observe. FailedPrecondition without any qconfig.
absl::StatusOr<ObservedGraphModule> prepare_calibration(const GraphModule& model,
                                                        const EagerOptions& options = {});
// In train() mode and the state QAT.
absl::StatusOr<ObservedGraphModule> prepare_qat(const GraphModule& model,
                                                const EagerOptions& options = {});

struct EagerConvertOptions {
  ModuleMapping mapping;
  bool inplace = false;  // takes the model's tensors where they need no change, as always
  bool remove_qconfig = true;
  bool allow_uncalibrated = false;
};
absl::StatusOr<QuantizedGraph> convert(const ObservedGraphModule& module,
                                       const EagerConvertOptions& options = {});

}  // namespace fxq
