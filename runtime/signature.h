// Signature: a program bound to one set of input shapes: shapes, bound steps, the plan of the arena
// and where every value lives. Immutable once bound and shared by all runs; a RunContext
// (run_context.h) holds the memory of one run at a time. Owned by the Executor.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "fxq/runtime/kernel.h"
#include "fxq/runtime/program.h"
#include "fxq/runtime/shape_inference.h"

namespace fxq {

// Where the bytes of a value are during a run.
struct Place {
  enum class Kind : uint8_t {
    kNone,      // a register, an absent input, an empty tensor
    kArena,     // at `offset`
    kConstant,  // the program's own bytes
    kInput,     // the caller's tensor `index`
    kOutput,    // the returned tensor `index`
  };
  Kind kind = Kind::kNone;
  size_t offset = 0;
  int index = 0;
  const std::byte* constant = nullptr;
};

struct BoundCall {
  int step = 0;  // of the program
  std::unique_ptr<BoundStep> bound;
  std::vector<ValueId> inputs;
  std::vector<ValueId> outputs;
  size_t shared_scratch_bytes = 0;
  size_t shared_scratch_offset = 0;  // in the arena
  std::string implementation;
};

struct Signature {
  std::vector<std::vector<int64_t>> shapes;  // of the program's inputs
  DataShapes data_shapes;                    // what data decided when it was bound
  absl::Status open;                         // not OK: it ends early, or guards fail (Inference)
  std::vector<Desc> descs;                   // of every value
  std::vector<Place> places;                 // of every value
  std::vector<BoundCall> calls;              // the steps that have something to do
  std::vector<int> converted_inputs;         // inputs that are put into storage order first
  std::vector<ValueId> outputs;              // leaves of the program's output; none if open
  size_t arena_bytes = 0;
  size_t unshared_bytes = 0;
  size_t worker_scratch_bytes = 0;
};

absl::StatusOr<std::unique_ptr<Signature>> bind_signature(
    const Program& program, const ResolvedKernels& kernels,
    absl::Span<const std::vector<int64_t>> shapes, const DataShapes& known, int threads,
    PackedCache* packed);

}  // namespace fxq
