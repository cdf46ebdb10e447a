// One walk over the steps. A buffer's last reader is known beforehand for the values that are in it
// already; a value that joins later is read later, so its step keeps the buffer alive by itself.
#include "fxq/runtime/buffer_sharing.h"

#include <algorithm>

#include "fxq/runtime/storage.h"

namespace fxq {
namespace {

size_t bytes_of(const Desc& desc) { return stored_bytes(desc.dtype, desc.dims); }

class Sharer {
 public:
  Sharer(const Program& program, const ResolvedKernels& kernels, const Inference& inference)
      : program_(program),
        kernels_(kernels),
        descs_(inference.descs),
        end_(inference.end),
        last_use_(descs_.size(), -1) {}

  BufferSharing share() {
    find_last_uses();
    result_.buffer.assign(descs_.size(), -1);
    result_.skipped.assign(program_.steps.size(), false);
    result_.shared_input.assign(program_.steps.size(), -1);
    for (size_t id = 0; id < descs_.size(); ++id) {
      if (descs_[id].constant != nullptr) add_buffer(static_cast<ValueId>(id), -1, true);
    }
    for (ValueId id : program_.inputs) add_buffer(id, -1, true);
    for (int step = 0; step < end_; ++step) visit(step);
    return std::move(result_);
  }

 private:
  void find_last_uses() {
    for (size_t step = 0; step < program_.steps.size(); ++step) {
      for (ValueId id : program_.steps[step].inputs) {
        if (id != kNoValue) last_use_[id] = static_cast<int>(step);
      }
    }
    for (ValueId id : program_.output_values()) last_use_[id] = kForever;
  }

  void add_buffer(ValueId id, int step, bool external) {
    result_.buffer[id] = static_cast<int>(result_.first.size());
    result_.first.push_back(step);
    result_.last.push_back(std::max(step, last_use_[id]));
    result_.external.push_back(external);
  }

  void join(ValueId id, ValueId host) {
    const int buffer = result_.buffer[host];
    result_.buffer[id] = buffer;
    result_.last[buffer] = std::max(result_.last[buffer], last_use_[id]);
  }

  bool may_overwrite(const Step& step, int index, int now, const Desc& output) const {
    const ValueId id = step.inputs[index];
    if (id == kNoValue || descs_[id].kind != ValueKind::kTensor) return false;
    const int buffer = result_.buffer[id];
    int readers = 0;
    for (ValueId other : step.inputs) {
      readers += other != kNoValue && result_.buffer[other] == buffer;
    }
    return readers == 1 && !result_.external[buffer] && result_.last[buffer] <= now &&
           bytes_of(descs_[id]) == bytes_of(output);
  }

  // True if output 0 has found its buffer.
  bool share_output(const Step& step, const Kernel* kernel, int now) {
    if (kernel == nullptr || kernel->sharing == nullptr) return false;
    const std::vector<Desc> inputs = gather(step.inputs, descs_);
    const std::vector<Desc> outputs = gather(step.outputs, descs_);
    const Sharing sharing = kernel->sharing(CompleteStep(step, descs_), inputs, outputs);
    if (sharing.kind == Sharing::Kind::kAlias) {
      join(step.outputs[0], step.inputs[sharing.inputs[0]]);
      result_.skipped[now] = true;
      return true;
    }
    for (int index : sharing.inputs) {
      if (sharing.kind != Sharing::Kind::kInPlace) break;
      if (!may_overwrite(step, index, now, outputs[0])) continue;
      join(step.outputs[0], step.inputs[index]);
      result_.shared_input[now] = index;
      return true;
    }
    return false;
  }

  void visit(int now) {
    const Step& step = program_.steps[now];
    const Kernel* kernel = kernels_.kernels[now];
    const bool registers = kernel != nullptr && kernel->bind == nullptr;
    bool empty = kernel != nullptr;  // a provider's step may give more than was inferred
    for (ValueId id : step.outputs) {
      empty = empty && (descs_[id].kind != ValueKind::kTensor || numel(descs_[id].dims) == 0);
    }
    result_.skipped[now] = registers || empty;
    const bool shared = !result_.skipped[now] && share_output(step, kernel, now);
    for (size_t i = shared ? 1 : 0; i < step.outputs.size(); ++i) {
      if (descs_[step.outputs[i]].kind == ValueKind::kTensor) {
        add_buffer(step.outputs[i], now, false);
      }
    }
  }

  const Program& program_;
  const ResolvedKernels& kernels_;
  const absl::Span<const Desc> descs_;
  const int end_;
  std::vector<int> last_use_;
  BufferSharing result_;
};

}  // namespace

BufferSharing share_buffers(const Program& program, const ResolvedKernels& kernels,
                            const Inference& inference) {
  return Sharer(program, kernels, inference).share();
}

}  // namespace fxq
