// Eight bytes of length, then '{' = safetensors = .fxq; all else goes to LibTorch's loader.
#include "fxq/cli/model_file.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <xxhash.h>

#include <cstdio>

#include "fxq/base/file.h"
#include "fxq/base/safetensors.h"
#include "fxq/base/status.h"
#include "fxq/graph/artifact.h"
#include "fxq/quant/quant_op_module.h"
#include "fxq/runtime/lower/aten_kernels.h"
#include "fxq/runtime/lower/lower.h"

namespace fxq {
namespace {

constexpr const char* kFloatModel = "float_model";
constexpr const char* kFloatHash = "float_hash";
constexpr const char* kPreprocess = "preprocess";

std::string metadata_or_empty(const Artifact& artifact, const char* key) {
  auto it = artifact.metadata.find(key);
  return it == artifact.metadata.end() ? "" : it->second;
}

absl::StatusOr<std::string> first_bytes(const std::string& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return absl::NotFoundError(path + ": no such file");
  if (S_ISDIR(info.st_mode)) {
    return absl::InvalidArgumentError(path + ": is a folder, needs to be a .pt or .fxq file");
  }
  std::FILE* file = std::fopen(path.c_str(), "rb");
  if (!file) return absl::PermissionDeniedError(path + ": cannot be read");
  char bytes[16] = {};
  const size_t count = std::fread(bytes, 1, sizeof bytes, file);
  std::fclose(file);
  return std::string(bytes, count);
}

}  // namespace

// A .fxq is a safetensors file: eight bytes of header length, then '{'. All else is left to
// LibTorch, whose loader says what it is instead.
absl::StatusOr<ModelKind> model_kind(const std::string& path) {
  FXQ_ASSIGN_OR_RETURN(const std::string head, first_bytes(path));
  const bool named_fxq = path.size() > 4 && path.compare(path.size() - 4, 4, ".fxq") == 0;
  const bool is_safetensors = head.size() > 8 && head[8] == '{' && head.compare(0, 2, "PK") != 0;
  return is_safetensors || named_fxq ? ModelKind::kFxq : ModelKind::kTorchScript;
}

absl::Status save_fxq(const QuantizedGraph& model, const Program& program,
                      const Provenance& provenance, const std::string& path) {
  Artifact artifact;
  FXQ_RETURN_IF_ERROR(add_to_artifact(model.graph_module(), artifact));
  program.to_artifact(artifact);
  artifact.metadata[kFloatModel] = provenance.float_model;
  artifact.metadata[kFloatHash] = provenance.float_hash;
  if (!provenance.preprocess.empty()) artifact.metadata[kPreprocess] = provenance.preprocess;
  return save_artifact(artifact, path);
}

absl::StatusOr<GraphModule> load_fxq_module(const std::string& path, bool allow_torchscript) {
  FXQ_ASSIGN_OR_RETURN(const Artifact artifact, load_artifact(path));
  LoadOptions options;
  options.factories = quant_module_factories();
  options.allow_torchscript = allow_torchscript;
  return from_artifact(artifact, options);
}

absl::StatusOr<QuantizedGraph> load_fxq_graph(const std::string& path, bool allow_torchscript) {
  FXQ_ASSIGN_OR_RETURN(GraphModule gm, load_fxq_module(path, allow_torchscript));
  return QuantizedGraph::from_graph_module(std::move(gm));
}

absl::StatusOr<Provenance> load_provenance(const std::string& path) {
  FXQ_ASSIGN_OR_RETURN(const Artifact artifact, load_artifact(path));
  return Provenance{metadata_or_empty(artifact, kFloatModel),
                    metadata_or_empty(artifact, kFloatHash),
                    metadata_or_empty(artifact, kPreprocess)};
}

ExecutorOptions executor_options(const ExecutorRequest& request) {
  ExecutorOptions options;
  options.threads = request.threads;
  options.profile = request.profile;
  AtenOptions aten;
  aten.allow_torchscript = request.allow_torchscript;
  options.provider = aten_kernels(aten);
  return options;
}

absl::StatusOr<std::unique_ptr<Executor>> load_executor(const std::string& path,
                                                        const ExecutorRequest& request) {
  return load_program(path, executor_options(request));
}

absl::StatusOr<std::string> file_hash(const std::string& path) {
  FXQ_ASSIGN_OR_RETURN(const std::string bytes, read_file(path));
  return fmt::format("{:016x}", XXH3_64bits(bytes.data(), bytes.size()));
}

}  // namespace fxq
