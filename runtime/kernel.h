// What a kernel is: infer (shapes and registers), sharing (may output and input be one buffer?) and
// bind, which turns a step with known shapes into a BoundStep. A BoundStep is immutable after bind
// and is run by many threads at once; all memory that it writes comes in through StepBuffers.
// Results must not depend on the number of slices or threads.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "fxq/base/host_tensor.h"
#include "fxq/runtime/program.h"

namespace fxq {

using Scalar = std::variant<int64_t, double, bool, std::vector<int64_t>>;

// What is known of a value once the input shapes are.
struct Desc {
  ValueKind kind = ValueKind::kTensor;
  DType dtype = DType::kF32;             // of a tensor
  std::vector<int64_t> dims;             // of a tensor; logical (N, C, ...)
  Scalar scalar;                         // of any other kind: its contents
  const HostTensor* constant = nullptr;  // a constant tensor's contents, plain row-major
  bool absent = false;  // an optional input that the step lacks, or a result that is None

  int64_t rank() const { return static_cast<int64_t>(dims.size()); }
  std::string describe() const;  // "u8[1,64,56,56]", "int 3"
};

Desc tensor_desc(DType dtype, std::vector<int64_t> dims);
Desc scalar_desc(Scalar scalar);

struct StepBuffers {
  // In the order of the step's ids. A register or an absent input has a null pointer. Constants are
  // plain row-major, every other tensor is in storage order (storage.h).
  const std::byte* const* inputs = nullptr;
  std::byte* const* outputs = nullptr;
  std::byte* shared_scratch =
      nullptr;  // 64-aligned, one per run of the step, all phases and slices
  std::byte* worker_scratch = nullptr;  // 64-aligned, this worker's own
};

// A step runs phase by phase; within a phase its slices run in any order, on any worker, at once.
// run_slice does not throw. Our steps all of whose outputs are empty are never bound.
class BoundStep {
 public:
  virtual ~BoundStep() = default;
  virtual int phases() const { return 1; }
  virtual int slices(int phase) const = 0;
  virtual absl::Status run_slice(int phase, int slice, const StepBuffers& buffers) const = 0;
  // For profiles and tests, such as "brgconv:avx512_core_vnni".
  virtual std::string implementation() const { return "own"; }
};

// Constants in the layout that a kernel wants, made once per Executor and shared by all signatures.
// Thread-safe. `key` names step, constant and layout.
struct PackedConstant {
  std::shared_ptr<const void> data;
  size_t bytes = 0;
};

class PackedCache {
 public:
  virtual ~PackedCache() = default;
  using Make = std::function<absl::StatusOr<PackedConstant>()>;
  // `make` must not call get.
  virtual absl::StatusOr<PackedConstant> get(const std::string& key, const Make& make) = 0;
};

struct BindContext {
  int threads = 1;  // workers that will run the slices
  PackedCache* packed = nullptr;
  int shared_input = -1;  // kInPlace was granted: this input and output 0 are one buffer
  // Written by bind:
  size_t shared_scratch_bytes = 0;
  size_t worker_scratch_bytes = 0;
};

// How output 0 may use an input's buffer.
struct Sharing {
  enum class Kind : uint8_t {
    kNone,
    kAlias,    // the bytes are the same: the step need not run at all
    kInPlace,  // the kernel may overwrite the input, if nobody reads it afterwards
  };
  Kind kind = Kind::kNone;
  std::vector<int> inputs;  // candidates by preference; kAlias takes the first
};

using Descs = absl::Span<const Desc>;

using InferFn = absl::StatusOr<std::vector<Desc>> (*)(const Step& step, Descs inputs);
using SharingFn = Sharing (*)(const Step& step, Descs inputs, Descs outputs);
using BindFn = absl::StatusOr<std::unique_ptr<BoundStep>> (*)(const Step& step, Descs inputs,
                                                              Descs outputs, BindContext& context);

// infer must check everything about the step that bind relies on (count, types, ranks, attributes):
// programs come from files. A kernel of registers has no bind.
struct Kernel {
  InferFn infer = nullptr;
  BindFn bind = nullptr;
  SharingFn sharing = nullptr;  // null = kNone
  // Inputs from this index on may be 8/16-bit constants (weights, tables), read as plain bytes.
  int first_weight = 1 << 30;
};

// Runs steps whose kernel is "aten": ops that have no kernel of ours. All its tensors are plain
// row-major: what lies differently in storage is converted around it (plain_adapter.h).
class KernelProvider {
 public:
  virtual ~KernelProvider() = default;
  // Ok, or what is missing ("aten::nms is not registered"); asked for every step at load.
  virtual absl::Status supports(const Step& step) const = 0;
  virtual absl::StatusOr<std::vector<Desc>> infer(const Step& step, Descs inputs) const = 0;
  virtual absl::StatusOr<std::unique_ptr<BoundStep>> bind(const Step& step, Descs inputs,
                                                          Descs outputs,
                                                          BindContext& context) const = 0;
};

}  // namespace fxq
