// Saving and loading GraphModules (DESIGN 9): the text form with annotations in the file's
// metadata, tensors as data under their paths; tied tensors are stored once. Same content, same
// bytes.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "fxq/base/artifact.h"
#include "fxq/graph/text.h"

namespace fxq {

struct LoadOptions {
  std::map<std::string, ModuleFactory> factories;
  // Embedded TorchScript parts are code; loading them must be allowed by name.
  bool allow_torchscript = false;
};

absl::Status save(const GraphModule& gm, const std::string& path);
absl::StatusOr<GraphModule> load(const std::string& path, const LoadOptions& options = {});

// The same into and from an artifact in memory, under metadata key "graph" (a .fxq file also holds
// a program that shares the tensors).
absl::Status add_to_artifact(const GraphModule& gm, Artifact& artifact);
absl::StatusOr<GraphModule> from_artifact(const Artifact& artifact,
                                          const LoadOptions& options = {});

}  // namespace fxq
