// Artifacts as ordinary safetensors files, readable by any safetensors library. On top of the
// format: the header is padded so that data begins at a multiple of 64; tensors lie at multiples of
// their element size; xxh3 of the header and of each tensor are kept in the metadata keys "fxq.*"
// and checked at load. The same artifact always gives the same bytes.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "fxq/base/artifact.h"

namespace fxq {

class MappedFile;

// The writer's version; a reader accepts files of its own and older versions.
inline constexpr int kArtifactVersion = 1;

// InvalidArgument: a name or text that is not UTF-8, or a name the format reserves.
absl::StatusOr<std::string> encode_safetensors(const Artifact& artifact);
absl::Status save_artifact(const Artifact& artifact, const std::string& path);

// Tensors borrow from the mapped file. DataLoss: truncated, or any byte changed; InvalidArgument:
// not an artifact of ours, or of a newer version. `path` is for messages.
absl::StatusOr<Artifact> decode_safetensors(std::shared_ptr<const MappedFile> file,
                                            const std::string& path);
absl::StatusOr<Artifact> load_artifact(const std::string& path);

}  // namespace fxq
