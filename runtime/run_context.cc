// arena: offsets of the plan; scratch: one block per slot; pointers: steps' inputs and outputs, set
// per run.
#include "fxq/runtime/run_context.h"

#include <cstring>
#include <mutex>
#include <new>

#include "fmt/format.h"
#include "fxq/base/status.h"
#include "fxq/runtime/storage.h"

namespace fxq {
namespace {

// The first failure of a step's slices, whichever worker meets it.
class FirstFailure {
 public:
  void note(const absl::Status& status) {
    if (status.ok()) return;
    std::lock_guard<std::mutex> lock(mutex_);
    if (status_.ok()) status_ = status;
  }
  const absl::Status& status() const { return status_; }

 private:
  std::mutex mutex_;
  absl::Status status_;
};

void copy_scalar(const Scalar& scalar, HostTensor& tensor) {
  if (const auto* number = std::get_if<double>(&scalar)) {
    tensor.mutable_data<double>()[0] = *number;
  } else if (const auto* flag = std::get_if<bool>(&scalar)) {
    tensor.mutable_data<uint8_t>()[0] = *flag ? 1 : 0;
  } else if (const auto* list = std::get_if<std::vector<int64_t>>(&scalar)) {
    std::copy(list->begin(), list->end(), tensor.mutable_data<int64_t>().begin());
  } else {
    tensor.mutable_data<int64_t>()[0] = std::get<int64_t>(scalar);
  }
}

}  // namespace

void RunContext::AlignedDelete::operator()(std::byte* bytes) const {
  ::operator delete[](bytes, std::align_val_t{kBufferAlignment});
}

RunContext::AlignedBytes RunContext::allocate(size_t bytes) {
  const size_t size = bytes == 0 ? kBufferAlignment : bytes;
  return AlignedBytes(
      static_cast<std::byte*>(::operator new[](size, std::align_val_t{kBufferAlignment})));
}

RunContext::RunContext(const Signature& signature, const Program& program, int threads)
    : signature_(signature),
      program_(program),
      arena_(allocate(signature.arena_bytes)),
      scratch_stride_((signature.worker_scratch_bytes + kBufferAlignment - 1) / kBufferAlignment *
                      kBufferAlignment),
      values_(signature.places.size(), nullptr) {
  scratch_ = allocate(scratch_stride_ * static_cast<size_t>(threads));
  for (size_t id = 0; id < values_.size(); ++id) {
    const Place& place = signature.places[id];
    if (place.kind == Place::Kind::kArena) values_[id] = arena_.get() + place.offset;
    // Steps see inputs as const.
    if (place.kind == Place::Kind::kConstant) values_[id] = const_cast<std::byte*>(place.constant);
  }
  for (const BoundCall& call : signature.calls) {
    first_slots_.push_back(slot_values_.size());
    slot_values_.insert(slot_values_.end(), call.inputs.begin(), call.inputs.end());
    slot_values_.insert(slot_values_.end(), call.outputs.begin(), call.outputs.end());
  }
  slots_.resize(slot_values_.size());
}

void RunContext::point_at(absl::Span<const HostTensor> inputs, absl::Span<HostTensor> outputs) {
  for (size_t id = 0; id < values_.size(); ++id) {
    const Place& place = signature_.places[id];
    if (place.kind == Place::Kind::kInput) {
      values_[id] = const_cast<std::byte*>(inputs[place.index].bytes());
    } else if (place.kind == Place::Kind::kOutput) {
      values_[id] = outputs[place.index].mutable_bytes();
    }
  }
  for (size_t i = 0; i < slots_.size(); ++i) {
    slots_[i] = slot_values_[i] == kNoValue ? nullptr : values_[slot_values_[i]];
  }
  for (int index : signature_.converted_inputs) {
    const ValueId id = program_.inputs[index];
    const Desc& desc = signature_.descs[id];
    plain_to_stored(desc.dtype, desc.dims, inputs[index].bytes(), values_[id]);
  }
}

absl::Status RunContext::run_call(const BoundCall& call, size_t first_slot, ThreadPool& pool) {
  StepBuffers shared;
  shared.inputs = slots_.data() + first_slot;
  shared.outputs = slots_.data() + first_slot + call.inputs.size();
  shared.shared_scratch = arena_.get() + call.shared_scratch_offset;
  const BoundStep& step = *call.bound;
  for (int phase = 0; phase < step.phases(); ++phase) {
    FirstFailure failure;
    pool.run(step.slices(phase), [&](int slice, int worker) {
      StepBuffers buffers = shared;
      buffers.worker_scratch = scratch_.get() + scratch_stride_ * static_cast<size_t>(worker);
      failure.note(step.run_slice(phase, slice, buffers));
    });
    if (failure.status().ok()) continue;
    const Step& source = program_.steps[call.step];
    absl::Status status(failure.status().code(),
                        fmt::format("step '{}' ({}): {}", source.name, source.kernel,
                                    message_of(failure.status())));
    failure.status().ForEachPayload([&](absl::string_view type, const absl::Cord& payload) {
      status.SetPayload(type, payload);
    });
    return status;
  }
  return absl::OkStatus();
}

void RunContext::copy_outputs(absl::Span<HostTensor> outputs) const {
  for (size_t i = 0; i < outputs.size(); ++i) {
    const ValueId id = signature_.outputs[i];
    const Desc& desc = signature_.descs[id];
    if (desc.kind != ValueKind::kTensor) {
      copy_scalar(desc.scalar, outputs[i]);
      continue;
    }
    if (values_[id] != outputs[i].bytes()) copy_plain(id, outputs[i]);
  }
}

// What steps before this one gave and this one or a later one reads. Anything else may lie where
// such a value lies.
void RunContext::take_over(const RunContext& former, int step) {
  std::vector<bool> is_given(values_.size(), false), is_read(values_.size(), false);
  for (size_t i = 0; i < program_.steps.size(); ++i) {
    const bool before = static_cast<int>(i) < step;
    for (ValueId id : program_.steps[i].outputs) {
      if (id != kNoValue) is_given[id] = before;
    }
    for (ValueId id : program_.steps[i].inputs) {
      if (id != kNoValue && !before) is_read[id] = true;
    }
  }
  for (ValueId id : program_.output_values()) is_read[id] = true;
  for (size_t id = 0; id < values_.size(); ++id) {
    std::byte* const from = former.values_[id];
    if (!is_given[id] || !is_read[id] || !from || !values_[id] || from == values_[id]) continue;
    const Desc& desc = signature_.descs[id];
    std::memcpy(values_[id], from, stored_bytes(desc.dtype, desc.dims));
  }
}

absl::Status RunContext::run(absl::Span<const HostTensor> inputs, absl::Span<HostTensor> outputs,
                             ThreadPool& pool, StepObserver* observer, const RunContext* former) {
  point_at(inputs, outputs);
  const int first = former == nullptr ? 0 : former->stopped_at_;
  if (former != nullptr) take_over(*former, first);
  for (size_t i = 0; i < signature_.calls.size(); ++i) {
    stopped_at_ = signature_.calls[i].step;
    if (stopped_at_ < first) continue;
    if (observer != nullptr) observer->before(static_cast<int>(i));
    FXQ_RETURN_IF_ERROR(run_call(signature_.calls[i], first_slots_[i], pool));
    if (observer != nullptr) observer->after(static_cast<int>(i));
  }
  stopped_at_ = static_cast<int>(program_.steps.size());
  copy_outputs(outputs);
  return absl::OkStatus();
}

void RunContext::copy_plain(ValueId id, HostTensor& target) const {
  const Desc& desc = signature_.descs[id];
  if (target.byte_size() == 0) return;
  if (desc.constant != nullptr) {
    std::memcpy(target.mutable_bytes(), values_[id], target.byte_size());
  } else {
    stored_to_plain(desc.dtype, desc.dims, values_[id], target.mutable_bytes());
  }
}

HostTensor RunContext::plain_copy(ValueId id) const {
  HostTensor result(signature_.descs[id].dtype, signature_.descs[id].dims);
  copy_plain(id, result);
  return result;
}

}  // namespace fxq
