// storage -> plain scratch, the provider's phases, plain scratch -> storage. Constants are plain.
#include "fxq/runtime/plain_adapter.h"

#include <utility>

#include "absl/container/inlined_vector.h"
#include "fxq/base/host_tensor.h"
#include "fxq/base/status.h"
#include "fxq/runtime/storage.h"

namespace fxq {
namespace {

struct Conversion {
  size_t index = 0;   // of the step's inputs or outputs
  size_t offset = 0;  // of the plain copy in the shared scratch
  DType dtype = DType::kU8;
  std::vector<int64_t> dims;
};

// What has to be converted; `end` is the first free byte of the scratch.
std::vector<Conversion> conversions(Descs descs, size_t& end) {
  std::vector<Conversion> result;
  for (size_t i = 0; i < descs.size(); ++i) {
    const Desc& desc = descs[i];
    if (desc.absent || desc.kind != ValueKind::kTensor || desc.constant != nullptr) continue;
    if (numel(desc.dims) == 0 || stored_plainly(desc.dtype, desc.dims.size())) continue;
    end = (end + kBufferAlignment - 1) / kBufferAlignment * kBufferAlignment;
    result.push_back({i, end, desc.dtype, desc.dims});
    end += stored_bytes(desc.dtype, desc.dims);
  }
  return result;
}

class PlainAdapter final : public BoundStep {
 public:
  PlainAdapter(std::unique_ptr<BoundStep> inner, std::vector<Conversion> before,
               std::vector<Conversion> after, size_t inputs, size_t outputs)
      : inner_(std::move(inner)),
        before_(std::move(before)),
        after_(std::move(after)),
        inputs_(inputs),
        outputs_(outputs) {}

  int phases() const override { return inner_->phases() + 2; }
  int slices(int phase) const override {
    if (phase == 0) return static_cast<int>(before_.size());
    if (phase == phases() - 1) return static_cast<int>(after_.size());
    return inner_->slices(phase - 1);
  }

  absl::Status run_slice(int phase, int slice, const StepBuffers& buffers) const override {
    if (phase == 0) {
      const Conversion& in = before_[slice];
      stored_to_plain(in.dtype, in.dims, buffers.inputs[in.index],
                      buffers.shared_scratch + in.offset);
      return absl::OkStatus();
    }
    if (phase == phases() - 1) {
      const Conversion& out = after_[slice];
      plain_to_stored(out.dtype, out.dims, buffers.shared_scratch + out.offset,
                      buffers.outputs[out.index]);
      return absl::OkStatus();
    }
    constexpr size_t kUsual = 16;
    absl::InlinedVector<const std::byte*, kUsual> inputs(buffers.inputs, buffers.inputs + inputs_);
    absl::InlinedVector<std::byte*, kUsual> outputs(buffers.outputs, buffers.outputs + outputs_);
    for (const Conversion& in : before_) inputs[in.index] = buffers.shared_scratch + in.offset;
    for (const Conversion& out : after_) outputs[out.index] = buffers.shared_scratch + out.offset;
    StepBuffers plain = buffers;
    plain.inputs = inputs.data();
    plain.outputs = outputs.data();
    return inner_->run_slice(phase - 1, slice, plain);
  }

  std::string implementation() const override { return inner_->implementation(); }

 private:
  std::unique_ptr<BoundStep> inner_;
  std::vector<Conversion> before_;
  std::vector<Conversion> after_;
  size_t inputs_;
  size_t outputs_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<BoundStep>> bind_plainly(const KernelProvider& provider,
                                                        const Step& step, Descs inputs,
                                                        Descs outputs, BindContext& context) {
  FXQ_ASSIGN_OR_RETURN(std::unique_ptr<BoundStep> inner,
                       provider.bind(step, inputs, outputs, context));
  size_t end = context.shared_scratch_bytes;
  std::vector<Conversion> before = conversions(inputs, end);
  std::vector<Conversion> after = conversions(outputs, end);
  if (before.empty() && after.empty()) return inner;
  context.shared_scratch_bytes = end;
  return std::make_unique<PlainAdapter>(std::move(inner), std::move(before), std::move(after),
                                        inputs.size(), outputs.size());
}

}  // namespace fxq
