// Executor: runs one Program. It owns the program, packed weights, a thread pool and the bound
// signatures (one per set of input shapes, the least recently used is dropped). prepare and run may
// be called from several threads at once; a run of a bound signature allocates its outputs and
// nothing else. Results are the same for any number of threads.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "fxq/base/host_tensor.h"
#include "fxq/runtime/kernel.h"
#include "fxq/runtime/program.h"

namespace fxq {

struct ExecutorOptions {
  int threads = 1;                                 // workers, the calling thread among them
  int max_signatures = 8;                          // bound input shapes to keep
  bool profile = false;                            // collect time per step
  std::shared_ptr<const KernelProvider> provider;  // for steps without a kernel of ours
};

struct StepProfile {
  std::string name;  // the graph node's
  std::string kernel;
  std::string implementation;
  int64_t calls = 0;
  double seconds = 0;      // summed over the calls
  double min_seconds = 0;  // of the fastest call
};

struct SignatureInfo {
  size_t arena_bytes = 0;     // activations and scratch, per concurrent run
  size_t unshared_bytes = 0;  // what they would take without reuse
  size_t packed_bytes = 0;
  std::vector<StepProfile> steps;  // as bound; times are those of profile()
};

class Executor {
 public:
  // Unimplemented lists every step whose kernel is missing, InvalidArgument every broken one.
  static absl::StatusOr<std::unique_ptr<Executor>> create(Program program,
                                                          ExecutorOptions options = {});
  ~Executor();
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  const Program& program() const;
  int threads() const;

  // Binds the signature ahead of time, where data decides shapes as far as they are known without
  // it. Shapes in the order of program().inputs.
  absl::Status prepare(absl::Span<const std::vector<int64_t>> shapes);
  absl::StatusOr<SignatureInfo> describe(absl::Span<const std::vector<int64_t>> shapes);

  // One tensor per leaf of program().output (depth first; registers become 0-d tensors).
  // InvalidArgument names every input of wrong dtype or rank, with what it got and needs. Where
  // data decides shapes (a mask as an index), what follows is bound for them during the run, and
  // kept.
  absl::StatusOr<std::vector<HostTensor>> run(absl::Span<const HostTensor> inputs);

  // As run, and shows every tensor value as a plain tensor right after the step that makes it.
  using Tap = std::function<void(const Value& value, const HostTensor& tensor)>;
  absl::StatusOr<std::vector<HostTensor>> run_tapped(absl::Span<const HostTensor> inputs,
                                                     const Tap& tap);

  // Empty unless options.profile. Summed over signatures and runs, in step order.
  std::vector<StepProfile> profile() const;
  int bound_signatures() const;

 private:
  struct State;
  explicit Executor(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// Reads a file of ours (base/safetensors.h) and creates an Executor for the program in it.
absl::StatusOr<std::unique_ptr<Executor>> load_program(const std::string& path,
                                                       ExecutorOptions options = {});

}  // namespace fxq
