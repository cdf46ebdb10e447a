// The eager functions for a TorchScript module as torch::jit::load gives it: it is captured (trace)
// and the function works on the captured module tree; the caller's module never changes. What comes
// out is a graph, as from a GraphModule: its modules go by the same paths.
#pragma once

#include <initializer_list>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "fxq/quant/eager.h"
#include "fxq/quant/fuse_modules.h"
#include "fxq/tracer/trace.h"

namespace fxq {

// The module's own mode decides, unless trace_options say otherwise: eval() folds batch norms.
// Fused adds need example_inputs there, for their shapes.
absl::StatusOr<GraphModule> fuse_modules(const torch::jit::Module& model,
                                         const std::vector<std::vector<std::string>>& lists,
                                         const FuseModulesOptions& options = {},
                                         const TraceOptions& trace_options = {});
absl::StatusOr<GraphModule> fuse_modules(const torch::jit::Module& model,
                                         const std::vector<std::string>& modules_to_fuse,
                                         const FuseModulesOptions& options = {},
                                         const TraceOptions& trace_options = {});
absl::StatusOr<GraphModule> fuse_modules(const torch::jit::Module& model, Names modules_to_fuse,
                                         const FuseModulesOptions& options = {},
                                         const TraceOptions& trace_options = {});
absl::StatusOr<GraphModule> fuse_modules(const torch::jit::Module& model,
                                         std::initializer_list<Names> lists,
                                         const FuseModulesOptions& options = {},
                                         const TraceOptions& trace_options = {});

// Each is captured alone: a module of one op (of torch.nn), or a FloatFunctional that adds.
// InvalidArgument names the calls of one that is more.
absl::StatusOr<ModuleList> fuse_known_modules(
    const std::vector<torch::jit::Module>& mod_list,
    const FuserMethodMapping& additional_fuser_method_mapping = {});

// A script module cannot carry a qconfig, so they come beside it: what set_qconfig would get, by
// path ("" is the whole model).
absl::StatusOr<ObservedGraphModule> prepare_calibration(const torch::jit::Module& model,
                                                        const QConfigDict::Entries& qconfigs,
                                                        const EagerOptions& options = {},
                                                        const TraceOptions& trace_options = {});
absl::StatusOr<ObservedGraphModule> prepare_qat(const torch::jit::Module& model,
                                                const QConfigDict::Entries& qconfigs,
                                                const EagerOptions& options = {},
                                                const TraceOptions& trace_options = {});

// Python's convert before prepare: swaps the modules of `mapping` and quantizes nothing. Without a
// mapping FailedPrecondition: there is nothing to convert.
absl::StatusOr<GraphModule> convert(const torch::jit::Module& module,
                                    const EagerConvertOptions& options,
                                    const TraceOptions& trace_options = {});

}  // namespace fxq
