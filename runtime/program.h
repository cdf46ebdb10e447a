// Program: an int8 network as plain data: inputs, values, steps that name kernels, constant tensors
// and the structure of the result. It owns its constants, runs nothing itself (executor.h does) and
// is stored as JSON beside its tensors in an Artifact. Whoever builds one calls verify();
// from_artifact does so itself, so that a Program in hand never has dangling ids.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "fxq/base/artifact.h"
#include "fxq/base/dtype.h"
#include "fxq/base/host_tensor.h"
#include "fxq/base/qparams.h"

namespace fxq {

using ValueId = int32_t;
inline constexpr ValueId kNoValue = -1;  // an optional input that is absent

// Tensors live in buffers; the other kinds are registers whose contents depend on shapes only: they
// are computed while a signature is prepared, never while it runs.
enum class ValueKind : uint8_t { kTensor, kInt, kFloat, kBool, kInts };

struct Value {
  std::string name;  // the graph node's name
  ValueKind kind = ValueKind::kTensor;
  DType dtype = DType::kF32;       // logical type of a tensor; how it is stored: storage.h
  std::optional<int> rank;         // of a tensor, when it is known before shapes are
  std::optional<QParams> qparams;  // for reports; kernels read their step's attributes
  std::string constant;            // the constant tensor that it is bound to; "" = computed
};

using Attr =
    std::variant<bool, int64_t, double, std::string, std::vector<int64_t>, std::vector<double>>;

struct Step {
  std::string kernel;  // a family of kernels/kernels.def, or "aten" (KernelProvider)
  int version = 1;     // of the kernel's contract
  std::string name;    // the graph node's name
  std::vector<ValueId> inputs;
  std::vector<ValueId> outputs;
  std::map<std::string, Attr> attrs;
  std::map<std::string, ValueId> computed;  // attributes that kInt and kInts registers hold
};

// What run() returns, as the model's author wrote it. Leaves are numbered depth first.
struct OutputTree {
  enum class Kind : uint8_t { kValue, kNone, kTuple, kList, kDict };
  Kind kind = Kind::kValue;
  ValueId value = kNoValue;          // of kValue
  std::vector<OutputTree> children;  // of kTuple, kList, kDict
  std::vector<std::string> keys;     // of kDict, one per child
};

// A condition on shapes that the model's code asserts: a kBool register and what to say if it is
// false.
struct Guard {
  ValueId condition = kNoValue;
  std::string message;
};

struct Program {
  std::vector<ValueId> inputs;  // tensors, in the order of the model's arguments
  std::vector<Value> values;    // indexed by ValueId
  std::vector<Step> steps;      // in execution order
  std::vector<Guard> guards;
  std::map<std::string, HostTensor> constants;  // dense row-major, never in storage order
  OutputTree output;

  ValueId add_value(Value value);
  // Adds a value bound to a new constant tensor named `name`.
  ValueId add_constant(std::string name, HostTensor tensor);

  std::vector<ValueId> output_values() const;  // leaves of `output`, in order

  // Every value is defined once, before its uses; ids, names and constants exist. All problems at
  // once.
  absl::Status verify() const;

  // Metadata key "program"; a constant named "w" is the tensor "program/w", or one of the tensors
  // that the artifact has already, if its bytes are the same.
  void to_artifact(Artifact& artifact) const;
  static absl::StatusOr<Program> from_artifact(const Artifact& artifact);
};

}  // namespace fxq
