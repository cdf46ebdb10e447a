// GraphModule -> metadata "graph": annotated text; tensors by path, tied ones once; all TorchScript
// parts as one .pt blob.
#include "fxq/graph/artifact.h"

#include <ATen/core/Tensor.h>
#include <fmt/format.h>

#include "fxq/base/safetensors.h"
#include "fxq/base/status.h"
#include "fxq/graph/leaf_module.h"
#include "fxq/graph/problems.h"
#include "fxq/graph/script_blob.h"
#include "fxq/graph/tensor_convert.h"
#include "fxq/graph/tied_tensors.h"

namespace fxq {
namespace {

constexpr const char* kGraphKey = "graph";
constexpr const char* kScriptTensor = "graph/torchscript.pt";

bool same_bytes(const HostTensor& a, const HostTensor& b) {
  return a.dtype() == b.dtype() && a.dims() == b.dims() &&
         std::equal(a.bytes(), a.bytes() + a.byte_size(), b.bytes());
}

// Puts tensors into an artifact, each once.
class TensorWriter {
 public:
  explicit TensorWriter(Artifact& artifact) : artifact_(artifact) {}

  void add(const std::string& path, const at::Tensor& tensor, bool is_in_script) {
    const std::string first = tied_.add(path, tensor);
    if (!tensor.defined() || !first.empty() || is_in_script) return;
    const auto host = to_host_tensor(tensor);
    if (!host.ok()) {
      problems_.add(fmt::format("tensor '{}': {}", path, std::string(host.status().message())));
      return;
    }
    const auto [it, is_new] = artifact_.tensors.emplace(path, *host);
    if (!is_new && !same_bytes(it->second, *host)) {
      problems_.add(fmt::format("tensor '{}': the file has another tensor of this name", path));
    }
  }

  absl::Status status() const { return problems_.status(absl::StatusCode::kUnimplemented); }

 private:
  Artifact& artifact_;
  TiedTensors tied_;
  Problems problems_;
};

absl::Status in_file(const absl::Status& status, const std::string& path) {
  return absl::Status(status.code(), path + ": " + std::string(status.message()));
}

}  // namespace

absl::Status add_to_artifact(const GraphModule& gm, Artifact& artifact) {
  PrintOptions options;
  options.annotations = true;
  artifact.metadata[kGraphKey] = print_text(gm, options);
  TensorWriter writer(artifact);
  ScriptParts parts;
  for (const std::string& path : gm.module_paths()) {
    const auto module = gm.module(path);
    const bool is_script = module->kind() == "opaque";
    if (is_script) parts.emplace(path, module);
    for (const auto& [name, tensor] : module->tensors()) {
      writer.add(path + "." + name, tensor, is_script);
    }
  }
  for (const std::string& path : gm.tensor_paths()) writer.add(path, gm.tensor(path), false);
  FXQ_RETURN_IF_ERROR(writer.status());
  if (!parts.empty()) {
    FXQ_ASSIGN_OR_RETURN(artifact.tensors[kScriptTensor], to_script_blob(parts));
  }
  return absl::OkStatus();
}

absl::StatusOr<GraphModule> from_artifact(const Artifact& artifact, const LoadOptions& options) {
  const auto text = artifact.metadata.find(kGraphKey);
  if (text == artifact.metadata.end()) {
    return absl::InvalidArgumentError("there is no graph in the file");
  }
  ParseOptions parse;
  parse.factories = options.factories;
  parse.tensors_required = true;
  for (const auto& [path, tensor] : artifact.tensors) {
    if (path != kScriptTensor) parse.tensors[path] = to_at_tensor(tensor);
  }
  const auto blob = artifact.tensors.find(kScriptTensor);
  if (blob != artifact.tensors.end() && parse.factories.count("opaque") == 0) {
    if (!options.allow_torchscript) {
      return absl::FailedPreconditionError(
          "the graph holds TorchScript parts, which are code: load it with allow_torchscript "
          "(--allow-torchscript) if you trust the file");
    }
    FXQ_ASSIGN_OR_RETURN(parse.factories["opaque"], script_factory(blob->second));
  }
  return parse_text(text->second, parse);
}

absl::Status save(const GraphModule& gm, const std::string& path) {
  Artifact artifact;
  FXQ_RETURN_IF_ERROR(add_to_artifact(gm, artifact));
  return save_artifact(artifact, path);
}

absl::StatusOr<GraphModule> load(const std::string& path, const LoadOptions& options) {
  FXQ_ASSIGN_OR_RETURN(const Artifact artifact, load_artifact(path));
  auto gm = from_artifact(artifact, options);
  if (!gm.ok()) return in_file(gm.status(), path);
  return gm;
}

}  // namespace fxq
