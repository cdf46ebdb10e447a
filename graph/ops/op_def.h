// The op table: every fact about an op that any layer needs, declared once in ops.def.
// This header holds the facts that need no LibTorch and no kernel; the runtime and the exporter
// include ops.def themselves and give the KERNEL and ONNX cells their meaning.
// Rows live as long as the process; ops from outside add theirs with register_op.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace fxq {

enum class OpId : uint16_t {
  kNone,
#define OP(id, ...) k##id,
#include "fxq/graph/ops/ops.def"
#undef OP
};

// How an op's output gets its quantization parameters.
enum class Rule : uint8_t {
  kFloatOnly,    // runs in float; nothing is observed
  kWeighted,     // has a quantized weight and an int32 bias; output observed
  kObserved,     // output observed
  kSharesInput,  // output has operand 0's scale, zero point and integers
  kSharesAll,    // all operands and the output have one scale
  kDerived,      // output scale computed from operand 0's and a constant
  kAnswers,      // reads integers and gives none: truth values, indices
  kNotTensor,    // sizes, list and tuple plumbing
};

// Activation dtypes that a march runs an op in; bits.
enum QBits : uint8_t { kQNone = 0, kQ8 = 1, kQ16 = 2 };

struct OpDef {
  OpId id = OpId::kNone;
  std::string_view name;                       // "conv2d": text form, CLI, reports
  std::vector<std::string_view> overloads;     // "aten::conv2d"; the first is the canonical schema
  std::vector<std::string_view> module_types;  // "Conv2d": classes of torch.nn
  std::string_view schema;                     // full schema text, for fxq's own ops only
  std::vector<std::string_view> params;        // schema arguments that are parameters or buffers
  bool commutes = false;                       // operands 0 and 1 may be swapped
  bool is_activation = false;                  // may end a fused op
  bool non_negative = false;                   // the result is never below zero
  bool keeps_sign = false;                     // the result is non-negative if all operands are
  bool fills = false;                          // every element of the result is one number
  bool keeps_all = false;                      // the result holds every element of the operand
  bool keeps_rank = false;   // dimensions of the result: those of the operand with most
  bool homogeneous = false;  // f(k * x) = k * f(x) for k > 0, channel by channel
  // Of a view, the overload that puts a changed part back: (base, part, the view's other
  // arguments), or, where the view shows all of the base, (part, other arguments).
  std::string_view written_back_by, undone_by;
  bool moves = false;      // elements only change places, whatever their dtype
  bool contracts = false;  // sums products along operand 0's last dimension
  Rule rule = Rule::kFloatOnly;
  std::string_view weight, bias;  // Weighted only: names of schema arguments
  int channel_axis = 0;           // Weighted only: output-channel axis of the weight
  uint8_t bernoulli2 = kQNone;
  uint8_t bayes = kQNone;
  uint8_t bayes_out = kQNone;     // of results, where they may be wider than `bayes`
  std::string_view limits;        // family of rows in march_limits.def, "" if there is none
  std::string_view kernel;        // int8 kernel family, "" if there is none
  std::string_view float_kernel;  // f32 kernel family of the runtime, "" if LibTorch computes it
  std::string_view onnx;          // ONNX operator or lowering, "" if there is none
};

const OpDef& op_def(OpId id);                      // kNone gives an empty, float-only row
absl::Span<const OpDef> op_table();                // all rows: ops.def's, then registered ones
OpId op_from_name(std::string_view name);          // "conv2d"; kNone if there is none
OpId op_from_overload(std::string_view overload);  // "aten::add.Tensor"
OpId op_from_module_type(
    std::string_view class_name);  // "torch.nn.modules.conv.Conv2d" or "Conv2d"

// Adds a row for an op from outside, with the cells of ops.def; from then on fxq treats it as one
// of its own. `row.id` and `row.schema` are not the caller's to set: the schema is LibTorch's
// (TORCH_LIBRARY), under overloads[0]. A row says that the op is a function of its arguments: it
// writes nothing and has no state. `kernel` and `onnx` name families of ops.def ("Table") or ones
// registered beside it (register_reference_kernel, register_lowering, register_onnx_form). Texts
// are copied. Register at start-up: no other thread may use fxq meanwhile, and graphs that were
// made before do not know the op. InvalidArgument says all that is wrong with the row.
absl::StatusOr<OpId> register_op(const OpDef& row);
constexpr int kMostRegisteredOps = 1000;
bool is_registered(OpId id);  // added by register_op

// Spatial axes of an op that is named after them: 2 for "avg_pool2d"; 0 for others.
inline size_t spatial_axes(OpId id) {
  const std::string_view name = op_def(id).name;
  const bool named = name.size() > 2 && name.back() == 'd';
  const char digit = named ? name[name.size() - 2] : '0';
  return digit >= '1' && digit <= '3' ? static_cast<size_t>(digit - '0') : 0;
}
inline bool is_weighted(OpId id) { return op_def(id).rule == Rule::kWeighted; }

}  // namespace fxq
