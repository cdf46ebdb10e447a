// Shape inference of a whole program: input shapes -> a Desc per value, registers computed, guards
// checked. Pure functions of the program; what they refuse is InvalidArgument and names the step.
#pragma once

#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "fxq/runtime/data_shapes.h"
#include "fxq/runtime/kernel.h"
#include "fxq/runtime/program.h"

namespace fxq {

// The kernel of each step: a row of the table, or null for a step of the provider.
struct ResolvedKernels {
  std::vector<const Kernel*> kernels;
  const KernelProvider* provider = nullptr;
};

// Unimplemented lists every step that neither the table nor the provider can run.
absl::StatusOr<ResolvedKernels> resolve_kernels(const Program& program,
                                                const KernelProvider* provider);

struct Inference {
  std::vector<Desc> descs;  // of every value that the first `end` steps read or give
  int end = 0;
  // Why it ends before the last step, or what the guards say: data may still decide otherwise.
  absl::Status open;
};

// `known`: the shapes that steps of the provider were seen to give. Where one is not known, it is
// what the provider infers, or nothing ([0, 0]) if it can't without data.
absl::StatusOr<Inference> infer_program(const Program& program, const ResolvedKernels& kernels,
                                        absl::Span<const std::vector<int64_t>> shapes,
                                        const DataShapes& known);

// A step with all its attributes: those that registers hold are read out of their descs.
class CompleteStep {
 public:
  CompleteStep(const Step& step, absl::Span<const Desc> descs);
  operator const Step&() const { return copy_ ? *copy_ : step_; }  // NOLINT: it is one

 private:
  const Step& step_;
  std::optional<Step> copy_;
};

// The descs of a step's ids; an id of kNoValue gives an absent one.
std::vector<Desc> gather(absl::Span<const ValueId> ids, absl::Span<const Desc> descs);

}  // namespace fxq
