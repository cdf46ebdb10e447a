// infer -> share buffers -> bind steps -> place buffers. A buffer lives from the step that first
// writes it to the one that last reads it; scratch lives for its step. An output that is plain in
// storage is written where the caller will read it.
#include "fxq/runtime/signature.h"

#include <algorithm>
#include <new>

#include "fmt/format.h"
#include "fxq/base/status.h"
#include "fxq/runtime/buffer_sharing.h"
#include "fxq/runtime/memory_plan.h"
#include "fxq/runtime/plain_adapter.h"
#include "fxq/runtime/storage.h"

namespace fxq {
namespace {

bool stored_plainly(const Desc& desc) { return fxq::stored_plainly(desc.dtype, desc.dims.size()); }

class Binder {
 public:
  Binder(const Program& program, const ResolvedKernels& kernels, int threads, PackedCache* packed)
      : program_(program), kernels_(kernels), threads_(threads), packed_(packed) {}

  absl::StatusOr<std::unique_ptr<Signature>> bind(absl::Span<const std::vector<int64_t>> shapes,
                                                  const DataShapes& known) {
    signature_ = std::make_unique<Signature>();
    signature_->shapes.assign(shapes.begin(), shapes.end());
    signature_->data_shapes = known;
    FXQ_ASSIGN_OR_RETURN(Inference inference, infer_program(program_, kernels_, shapes, known));
    sharing_ = share_buffers(program_, kernels_, inference);
    signature_->descs = std::move(inference.descs);
    signature_->open = std::move(inference.open);
    if (signature_->open.ok()) signature_->outputs = program_.output_values();
    for (int step = 0; step < inference.end; ++step) {
      if (!sharing_.skipped[static_cast<size_t>(step)]) FXQ_RETURN_IF_ERROR(bind_step(step));
    }
    place_outside();
    place_arena();
    place_values();
    return std::move(signature_);
  }

 private:
  absl::Status bind_step(int index) {
    const CompleteStep complete(program_.steps[index], signature_->descs);
    const Step& step = complete;
    const std::vector<Desc> inputs = gather(step.inputs, signature_->descs);
    const std::vector<Desc> outputs = gather(step.outputs, signature_->descs);
    BindContext context;
    context.threads = threads_;
    context.packed = packed_;
    context.shared_input = sharing_.shared_input[index];
    const Kernel* kernel = kernels_.kernels[index];
    absl::StatusOr<std::unique_ptr<BoundStep>> bound =
        kernel != nullptr ? kernel->bind(step, inputs, outputs, context)
                          : bind_plainly(*kernels_.provider, step, inputs, outputs, context);
    if (!bound.ok()) {
      return absl::Status(
          bound.status().code(),
          fmt::format("step '{}' ({}): {}", step.name, step.kernel, message_of(bound.status())));
    }
    BoundCall call;
    call.step = index;
    call.implementation = (*bound)->implementation();
    call.bound = *std::move(bound);
    call.inputs = step.inputs;
    call.outputs = step.outputs;
    call.shared_scratch_bytes = context.shared_scratch_bytes;
    signature_->worker_scratch_bytes =
        std::max(signature_->worker_scratch_bytes, context.worker_scratch_bytes);
    signature_->calls.push_back(std::move(call));
    return absl::OkStatus();
  }

  // Buffers that need no arena: constants, inputs and outputs that the caller's memory can hold.
  void place_outside() {
    buffer_places_.resize(sharing_.first.size());
    for (size_t id = 0; id < signature_->descs.size(); ++id) {
      const HostTensor* constant = signature_->descs[id].constant;
      if (constant == nullptr) continue;
      Place& place = buffer_places_[sharing_.buffer[id]];
      place.kind = Place::Kind::kConstant;
      place.constant = constant->bytes();
    }
    for (size_t i = 0; i < program_.inputs.size(); ++i) {
      const ValueId id = program_.inputs[i];
      if (!stored_plainly(signature_->descs[id])) {
        signature_->converted_inputs.push_back(static_cast<int>(i));
        continue;
      }
      set(sharing_.buffer[id], Place::Kind::kInput, i);
    }
    for (size_t i = 0; i < signature_->outputs.size(); ++i) {
      const ValueId id = signature_->outputs[i];
      const int buffer = sharing_.buffer[id];
      if (buffer < 0 || sharing_.external[buffer] || !stored_plainly(signature_->descs[id]))
        continue;
      if (buffer_places_[buffer].kind == Place::Kind::kNone) {
        set(buffer, Place::Kind::kOutput, i);
      }
    }
  }

  void set(int buffer, Place::Kind kind, size_t index) {
    buffer_places_[buffer].kind = kind;
    buffer_places_[buffer].index = static_cast<int>(index);
  }

  std::vector<size_t> buffer_sizes() const {
    std::vector<size_t> bytes(buffer_places_.size(), 0);
    for (size_t id = 0; id < signature_->descs.size(); ++id) {
      const Desc& desc = signature_->descs[id];
      const int buffer = sharing_.buffer[id];
      if (buffer >= 0) bytes[buffer] = std::max(bytes[buffer], stored_bytes(desc.dtype, desc.dims));
    }
    return bytes;
  }

  void place_arena() {
    const std::vector<size_t> bytes = buffer_sizes();
    std::vector<BufferLife> lives;
    for (size_t buffer = 0; buffer < buffer_places_.size(); ++buffer) {
      const bool outside = buffer_places_[buffer].kind != Place::Kind::kNone;
      lives.push_back({outside ? 0 : bytes[buffer], sharing_.first[buffer], sharing_.last[buffer]});
    }
    for (const BoundCall& call : signature_->calls) {
      lives.push_back({call.shared_scratch_bytes, call.step, call.step});
    }
    const MemoryPlan plan = plan_memory(lives);
    for (size_t buffer = 0; buffer < buffer_places_.size(); ++buffer) {
      Place& place = buffer_places_[buffer];
      if (place.kind != Place::Kind::kNone || bytes[buffer] == 0) continue;
      place.kind = Place::Kind::kArena;
      place.offset = plan.offsets[buffer];
    }
    for (size_t i = 0; i < signature_->calls.size(); ++i) {
      signature_->calls[i].shared_scratch_offset = plan.offsets[buffer_places_.size() + i];
    }
    signature_->arena_bytes = plan.arena_bytes;
    signature_->unshared_bytes = plan.unshared_bytes;
  }

  void place_values() {
    for (int buffer : sharing_.buffer) {
      signature_->places.push_back(buffer < 0 ? Place{} : buffer_places_[buffer]);
    }
  }

  const Program& program_;
  const ResolvedKernels& kernels_;
  const int threads_;
  PackedCache* const packed_;
  std::unique_ptr<Signature> signature_;
  BufferSharing sharing_;
  std::vector<Place> buffer_places_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Signature>> bind_signature(
    const Program& program, const ResolvedKernels& kernels,
    absl::Span<const std::vector<int64_t>> shapes, const DataShapes& known, int threads,
    PackedCache* packed) {
  try {
    return Binder(program, kernels, threads, packed).bind(shapes, known);
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError("there is not enough memory for these input shapes");
  } catch (const std::exception& error) {
    return absl::InternalError(fmt::format("the program cannot be bound: {}", error.what()));
  }
}

}  // namespace fxq
