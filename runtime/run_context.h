// RunContext: the memory of one run at a time of a Signature: its arena, the workers' scratch and
// the pointers that steps get. Made once and reused; between runs only the pointers to the caller's
// tensors change. Borrows the signature.
#pragma once

#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "fxq/base/host_tensor.h"
#include "fxq/runtime/signature.h"
#include "fxq/runtime/thread_pool.h"

namespace fxq {

// Called by run after each step when somebody wants to see or time it; index into signature.calls.
class StepObserver {
 public:
  virtual ~StepObserver() = default;
  virtual void before(int call) = 0;
  virtual void after(int call) = 0;
};

class RunContext {
 public:
  RunContext(const Signature& signature, const Program& program, int threads);

  // `outputs` are zeroed tensors of the right shapes, which this fills. `former`: a run of the same
  // program on the same inputs that stopped at a step; this one goes on from there.
  absl::Status run(absl::Span<const HostTensor> inputs, absl::Span<HostTensor> outputs,
                   ThreadPool& pool, StepObserver* observer, const RunContext* former = nullptr);

  // The step of the program whose failure ended the last run; the end if none did.
  int stopped_at() const { return stopped_at_; }

  // A plain copy of a tensor value; right after the step that made it.
  HostTensor plain_copy(ValueId id) const;

 private:
  void point_at(absl::Span<const HostTensor> inputs, absl::Span<HostTensor> outputs);
  absl::Status run_call(const BoundCall& call, size_t first_slot, ThreadPool& pool);
  void copy_outputs(absl::Span<HostTensor> outputs) const;
  void take_over(const RunContext& former, int step);
  void copy_plain(ValueId id, HostTensor& target) const;

  struct AlignedDelete {
    void operator()(std::byte* bytes) const;
  };
  using AlignedBytes = std::unique_ptr<std::byte[], AlignedDelete>;
  static AlignedBytes allocate(size_t bytes);

  const Signature& signature_;
  const Program& program_;
  AlignedBytes arena_;
  AlignedBytes scratch_;
  size_t scratch_stride_ = 0;
  std::vector<std::byte*> values_;  // of every value
  std::vector<std::byte*> slots_;   // inputs then outputs of each call, in a row
  std::vector<ValueId> slot_values_;
  std::vector<size_t> first_slots_;  // of each call
  int stopped_at_ = 0;
};

}  // namespace fxq
