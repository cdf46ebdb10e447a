// Storage holds [images][pixels][channels] where a linear layer needs [images][channels][pixels]:
//   phase 0: x -> rows, other -> rows     phases 1..: inner on rows     last: rows -> output
#include <array>
#include <utility>

#include "fxq/runtime/kernels/conv_routes.h"
#include "fxq/runtime/storage.h"

namespace fxq::conv {
namespace {

// Only the order changes: an i8 stays stored as u8.
DType as_stored(DType dtype) { return dtype == DType::kI8 ? DType::kU8 : dtype; }

class TransposedRows : public BoundStep {
 public:
  TransposedRows(const ConvProblem& problem, std::unique_ptr<BoundStep> inner, size_t inner_scratch)
      : problem_(problem), inner_(std::move(inner)) {
    const size_t output = stored_bytes(problem.epilogue.output, problem.out_dims);
    other_at_ = aligned(inner_scratch);
    x_at_ = other_at_ + (transposes_other() ? aligned(output) : 0);
    output_at_ =
        x_at_ +
        (problem.transpose_input ? aligned(stored_bytes(problem.input, problem.x_dims)) : 0);
    end_ = output_at_ + (problem.transpose_output ? aligned(output) : 0);
  }

  size_t shared_scratch_bytes() const { return end_; }
  std::string implementation() const override { return inner_->implementation() + " on rows"; }
  int phases() const override { return inner_->phases() + 2; }

  int slices(int phase) const override {
    return phase == 0 || phase == phases() - 1 ? 1 : inner_->slices(phase - 1);
  }

  absl::Status run_slice(int phase, int slice, const StepBuffers& buffers) const override {
    const DType output = as_stored(problem_.epilogue.output);
    std::byte* const scratch = buffers.shared_scratch;
    if (phase == 0) {
      if (problem_.transpose_input) {
        stored_to_plain(as_stored(problem_.input), problem_.x_dims, buffers.inputs[kX],
                        scratch + x_at_);
      }
      if (transposes_other()) {
        stored_to_plain(output, problem_.out_dims, buffers.inputs[kOther], scratch + other_at_);
      }
      return absl::OkStatus();
    }
    if (phase == phases() - 1) {
      if (problem_.transpose_output) {
        plain_to_stored(output, problem_.out_dims, scratch + output_at_, buffers.outputs[0]);
      }
      return absl::OkStatus();
    }
    return run_inner(phase - 1, slice, buffers);
  }

 private:
  static size_t aligned(size_t bytes) { return (bytes + 63) / 64 * 64; }
  bool transposes_other() const { return problem_.transpose_output && problem_.epilogue.has_other; }

  absl::Status run_inner(int phase, int slice, const StepBuffers& buffers) const {
    std::array<const std::byte*, kOther + 1> inputs = {buffers.inputs[kX]};
    if (problem_.transpose_input) inputs[kX] = buffers.shared_scratch + x_at_;
    if (problem_.epilogue.has_other) {
      inputs[kOther] =
          transposes_other() ? buffers.shared_scratch + other_at_ : buffers.inputs[kOther];
    }
    std::byte* const output =
        problem_.transpose_output ? buffers.shared_scratch + output_at_ : buffers.outputs[0];
    StepBuffers inner = buffers;
    inner.inputs = inputs.data();
    inner.outputs = &output;
    return inner_->run_slice(phase, slice, inner);
  }

  ConvProblem problem_;
  std::unique_ptr<BoundStep> inner_;
  size_t other_at_ = 0;
  size_t x_at_ = 0;
  size_t output_at_ = 0;
  size_t end_ = 0;
};

}  // namespace

std::unique_ptr<BoundStep> with_transposed_rows(const ConvProblem& problem,
                                                std::unique_ptr<BoundStep> inner,
                                                BindContext& context) {
  auto step =
      std::make_unique<TransposedRows>(problem, std::move(inner), context.shared_scratch_bytes);
  context.shared_scratch_bytes = step->shared_scratch_bytes();
  return step;
}

}  // namespace fxq::conv
