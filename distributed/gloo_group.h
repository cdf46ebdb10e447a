// Gloo groups over LibTorch's c10d, behind quant's ProcessGroup: CPU training on several processes
// of one machine or several. The group belongs to whoever holds it; set_process_group() hands it to
// observers and to the training loop.
#pragma once

#include <c10/util/intrusive_ptr.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "fxq/quant/process_group.h"

namespace c10d {
class ProcessGroup;
}

namespace fxq {

struct GlooOptions {
  int rank = 0;
  int size = 1;
  // Where the processes find each other. A file that all of them see and that does not exist yet
  // (it is the group's, and may be removed when all are done); or a host and port, served by
  // process 0.
  std::string file;
  std::string host;
  int port = 0;
  // Of meeting, and of every reduction.
  int timeout_seconds = 300;
};

// Returns when all processes are there. InvalidArgument for options that contradict each other,
// Unavailable if the others do not come.
absl::StatusOr<std::shared_ptr<ProcessGroup>> make_gloo_group(const GlooOptions& options);

// A group that the caller's program has already, of whatever backend.
std::shared_ptr<ProcessGroup> make_process_group(c10::intrusive_ptr<c10d::ProcessGroup> group);

}  // namespace fxq
