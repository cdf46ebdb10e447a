// Models on the command line: a .pt is TorchScript, a .fxq holds a quantized graph and its program.
// Which one a file is shows in its first bytes, not in its name.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "fxq/graph/graph_module.h"
#include "fxq/quant/quantized_graph.h"
#include "fxq/runtime/executor.h"

namespace fxq {

enum class ModelKind { kTorchScript, kFxq };
absl::StatusOr<ModelKind> model_kind(const std::string& path);

// Facts about where a quantized model came from; stored in the file beside graph and program.
struct Provenance {
  std::string float_model;  // path as given to quantize
  std::string float_hash;   // xxh3 of that file
  std::string preprocess;   // the config's block as JSON, "" if none
};

// `program` is the lowered model.
absl::Status save_fxq(const QuantizedGraph& model, const Program& program,
                      const Provenance& provenance, const std::string& path);
// The graph in a file at any stage: float, prepared (--prepared, a checkpoint of qat) or quantized.
absl::StatusOr<GraphModule> load_fxq_module(const std::string& path,
                                            bool allow_torchscript = false);
absl::StatusOr<QuantizedGraph> load_fxq_graph(const std::string& path,
                                              bool allow_torchscript = false);
absl::StatusOr<Provenance> load_provenance(const std::string& path);

struct ExecutorRequest {
  int threads = 1;
  bool profile = false;
  bool allow_torchscript = false;
};
ExecutorOptions executor_options(const ExecutorRequest& request);
absl::StatusOr<std::unique_ptr<Executor>> load_executor(const std::string& path,
                                                        const ExecutorRequest& request);

// xxh3 of a file's bytes in hex.
absl::StatusOr<std::string> file_hash(const std::string& path);

}  // namespace fxq
