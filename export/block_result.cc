// int -> i64[]     float -> f64[]     list(int) -> i64[?]     list(tensor) -> sequence
#include "fxq/export/block_result.h"

#include <fmt/format.h>
#include <onnx/onnx_pb.h>

#include "fxq/base/status.h"
#include "fxq/export/exporter.h"
#include "fxq/export/lowering/sequences.h"
#include "fxq/export/value_info.h"

namespace fxq {
namespace {

using Kind = OnnxValue::Kind;

// Identity takes sequences from here on, which every branch that changes nothing needs.
constexpr int kSequencesPass = 14;

absl::StatusOr<Kind> form_of(const Type& declared) {
  switch (declared.kind) {
    case Type::Kind::kTensor:
      return Kind::kTensor;
    case Type::Kind::kInt:
      return Kind::kInt;
    case Type::Kind::kFloat:
      return Kind::kFloat;
    case Type::Kind::kBool:
      return Kind::kBool;
    case Type::Kind::kList:
      if (declared.elements.empty()) break;
      if (declared.elements[0].kind == Type::Kind::kInt) return Kind::kInts;
      if (declared.elements[0].is_tensor()) return Kind::kSequence;
      break;
    default:
      break;
  }
  return absl::UnimplementedError(
      fmt::format("it gives {}; ONNX's branches and loops give tensors, numbers and lists of them",
                  declared.to_string()));
}

// Of the type's rank: a runtime that plans its memory relies on it.
std::string zeros(OnnxBuilder& builder, const Type& type) {
  const std::string zero = builder.scalar(element_type(type), 0.0);
  if (type.rank() < 1) return zero;
  std::vector<int64_t> sizes;
  for (const Dim& dim : *type.dims) sizes.push_back(dim.is_known() ? dim.size : 1);
  return builder.add("Expand", {zero, builder.ints(sizes)});
}

}  // namespace

absl::StatusOr<BlockResult> block_result(const Type& declared, const Type& seen, int opset) {
  BlockResult result;
  FXQ_ASSIGN_OR_RETURN(result.form, form_of(declared));
  const bool sequence = result.form == Kind::kSequence;
  if (sequence && opset < kSequencesPass) {
    return absl::UnimplementedError(
        fmt::format("it gives a list of tensors, which needs opset {}", kSequencesPass));
  }
  if (result.form != Kind::kTensor && !sequence) return result;
  result.type = seen.kind == Type::Kind::kNone ? Type::tensor(DType::kF32, {}) : seen;
  if (sequence) result.type = seen.elements.empty() ? Type::tensor() : seen.elements[0];
  if (result.type.is_tensor() && result.type.dtype) return result;
  if (sequence && seen.elements.empty()) return result;  // nobody ever put something in
  return absl::UnimplementedError(
      "the dtype that it gives is not known: its ways differ in it, or none could be run on the "
      "example inputs");
}

absl::StatusOr<std::string> as_result(Exporter& exporter, const OnnxValue& value,
                                      const BlockResult& result) {
  const bool unset = value.kind == Kind::kNone;
  switch (result.form) {
    case Kind::kTensor:
      if (unset) return zeros(exporter.builder(), result.type);
      break;
    case Kind::kFloat:
      if (unset) return exporter.builder().scalar(DType::kF64, 0.0);
      break;
    case Kind::kInt:
      if (unset) return exporter.builder().int_scalar(0);
      if (value.kind == Kind::kInt) return exporter.int_tensor(value);
      break;
    case Kind::kBool:
      if (unset) return exporter.builder().scalar(DType::kBool, 0.0);
      if (value.kind == Kind::kBool) return exporter.bool_tensor(value);
      break;
    case Kind::kInts:
      if (unset) return exporter.builder().ints({});
      return list_of_ints(exporter, value);
    case Kind::kSequence:
      if (unset) return sequence_of(exporter, OnnxValue::list({}), element_type(result.type));
      return sequence_of(exporter, value, element_type(result.type));
    default:
      break;
  }
  if (value.kind == result.form) return value.name;
  return absl::UnimplementedError("it gives values of different kinds");
}

void write_value_info(const BlockResult& result, const std::string& name,
                      onnx::ValueInfoProto& info) {
  info.set_name(name);
  switch (result.form) {
    case Kind::kInt:
      return write_tensor_type(Type::tensor(DType::kI64, {}), info);
    case Kind::kBool:
      return write_tensor_type(Type::tensor(DType::kBool, {}), info);
    case Kind::kFloat:
      return write_tensor_type(Type::tensor(DType::kF64, {}), info);
    case Kind::kInts:
      return write_tensor_type(Type::tensor(DType::kI64, {-1}), info);
    case Kind::kSequence:
      info.mutable_type()
          ->mutable_sequence_type()
          ->mutable_elem_type()
          ->mutable_tensor_type()
          ->set_elem_type(onnx_element_type(element_type(result.type)));
      return;
    default:
      return write_tensor_type(result.type, info);
  }
}

}  // namespace fxq
