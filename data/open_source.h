// From what a user typed to sample sources: splits `input=path`, recognises the kind of file by its
// ending, opens it. Used by dataset.cc only.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "fxq/data/dataset.h"

namespace fxq {

struct OpenedInput {
  std::string name;            // "" if only its position says which input it is
  std::string what;            // file or member, for messages
  bool named_by_user = false;  // by `input=path`, not by the file
  std::unique_ptr<SampleSource> source;
};

// All inputs of all `files`, in order. The errors of all files come at once.
absl::StatusOr<std::vector<OpenedInput>> open_sources(absl::Span<const std::string> files,
                                                      const DatasetOptions& options);

}  // namespace fxq
