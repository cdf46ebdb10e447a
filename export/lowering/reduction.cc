// mean -> ReduceMean     sum -> ReduceSum     amax -> ReduceMax     norm -> ReduceL2
// argmax -> ArgMax     max over an axis -> ReduceMax, ArgMax     softmax -> Softmax
// Before opset 13, Softmax works on the last axes as one: other axes are moved there and back.
#include <fmt/format.h>

#include <numeric>

#include "fxq/base/status.h"
#include "fxq/export/exporter.h"
#include "fxq/export/lowering/lowering.h"
#include "fxq/export/lowering/parts.h"
#include "fxq/export/opset_forms.h"

namespace fxq {
namespace {

// The operand, in the dtype that the call's `dtype` asks for or sums have.
absl::StatusOr<std::string> computed_operand(Exporter& exporter, const OpView& view) {
  FXQ_ASSIGN_OR_RETURN(const std::string x, exporter.operand(view));
  const Type& from = view.operand(0)->type;
  const Type& to = view.node()->type;
  if (!from.dtype || !to.dtype || element_type(from) == element_type(to)) return x;
  return add_cast(exporter.builder(), x, element_type(to));
}

absl::Status reduce(Exporter& exporter, const OpView& view, const char* op_type) {
  const Argument dim = view.attr("dim");
  if (!dim.is_constant()) return absl::UnimplementedError("its dim is computed while running");
  FXQ_ASSIGN_OR_RETURN(const std::string x, computed_operand(exporter, view));
  return exporter.finish(view,
                         add_reduce(exporter.builder(), x,
                                    {op_type, view.attr_ints("dim"), view.attr_bool("keepdim")}));
}

// The extreme along one axis, and where it stands.
absl::Status extreme(Exporter& exporter, const OpView& view, const char* reduce,
                     const char* where) {
  OnnxBuilder& builder = exporter.builder();
  FXQ_ASSIGN_OR_RETURN(const std::string x, exporter.operand(view));
  const int64_t axis = view.attr_int("dim");
  const bool keepdim = view.attr_bool("keepdim");
  const std::string values = add_reduce(builder, x, {reduce, {axis}, keepdim});
  const std::string indices =
      builder.add(where, {x}, {{"axis", axis}, {"keepdims", static_cast<int64_t>(keepdim)}});
  return finish_parts(exporter, view, {values, indices});
}

absl::Status softmax(Exporter& exporter, const OpView& view, const char* op_type) {
  OnnxBuilder& builder = exporter.builder();
  int64_t axis = view.attr_int("dim", -1);
  FXQ_ASSIGN_OR_RETURN(const std::string x, computed_operand(exporter, view));
  if (builder.opset() >= 13) {
    return exporter.finish(view, builder.add(op_type, {x}, {{"axis", axis}}));
  }
  const int rank = view.operand(0)->type.rank();
  if (rank < 0) return absl::UnimplementedError("the rank of its input is not known; use opset 13");
  if (axis < 0) axis += rank;
  if (axis == rank - 1) {
    return exporter.finish(view, builder.add(op_type, {x}, {{"axis", axis}}));
  }
  std::vector<int64_t> perm(static_cast<size_t>(rank));
  std::iota(perm.begin(), perm.end(), 0);
  std::swap(perm[static_cast<size_t>(axis)], perm.back());
  const std::string moved = builder.add("Transpose", {x}, {{"perm", perm}});
  const std::string y = builder.add(op_type, {moved}, {{"axis", static_cast<int64_t>(rank) - 1}});
  return exporter.finish(view, builder.add("Transpose", {y}, {{"perm", perm}}));
}

}  // namespace

absl::Status onnx_ReduceMean(Exporter& exporter, const OpView& view) {
  return reduce(exporter, view, "ReduceMean");
}

absl::Status onnx_ReduceSum(Exporter& exporter, const OpView& view) {
  return reduce(exporter, view, "ReduceSum");
}

absl::Status onnx_ReduceMax(Exporter& exporter, const OpView& view) {
  return reduce(exporter, view, "ReduceMax");
}

absl::Status onnx_ReduceMin(Exporter& exporter, const OpView& view) {
  return reduce(exporter, view, "ReduceMin");
}

absl::Status onnx_MaxDim(Exporter& exporter, const OpView& view) {
  return extreme(exporter, view, "ReduceMax", "ArgMax");
}

absl::Status onnx_MinDim(Exporter& exporter, const OpView& view) {
  return extreme(exporter, view, "ReduceMin", "ArgMin");
}

absl::Status onnx_Norm(Exporter& exporter, const OpView& view) {
  const Argument p = view.attr("p");
  const double order = p.is_none() ? 2.0 : view.attr_float("p", 0.0);
  if (order != 1.0 && order != 2.0) return absl::UnimplementedError("a norm other than 1 and 2");
  return reduce(exporter, view, order == 1.0 ? "ReduceL1" : "ReduceL2");
}

absl::Status onnx_TopK(Exporter& exporter, const OpView& view) {
  FXQ_ASSIGN_OR_RETURN(const std::string x, exporter.operand(view));
  FXQ_ASSIGN_OR_RETURN(const OnnxValue k, exporter.ints(view.attr("k")));
  const std::string count = exporter.int_list(k);
  const OnnxAttributes attributes{
      {"axis", view.attr_int("dim", -1)},
      {"largest", static_cast<int64_t>(view.attr_bool("largest", true))},
      {"sorted", static_cast<int64_t>(view.attr_bool("sorted", true))}};
  return finish_parts(exporter, view,
                      exporter.builder().add_many({"TopK", {x, count}, attributes, ""}, 2));
}

absl::Status onnx_CumSum(Exporter& exporter, const OpView& view) {
  FXQ_ASSIGN_OR_RETURN(const std::string x, computed_operand(exporter, view));
  const std::string axis = exporter.builder().int_scalar(view.attr_int("dim"));
  return exporter.finish(view, exporter.builder().add("CumSum", {x, axis}));
}

absl::Status onnx_ArgMax(Exporter& exporter, const OpView& view) {
  FXQ_ASSIGN_OR_RETURN(std::string x, exporter.operand(view));
  const bool flat = view.attr("dim").is_none();
  if (flat) x = add_reshape(exporter.builder(), x, {-1});
  const OnnxAttributes attributes{
      {"axis", flat ? int64_t{0} : view.attr_int("dim")},
      {"keepdims", static_cast<int64_t>(!flat && view.attr_bool("keepdim"))}};
  return exporter.finish(view, exporter.builder().add("ArgMax", {x}, attributes));
}

absl::Status onnx_Softmax(Exporter& exporter, const OpView& view) {
  return softmax(exporter, view, "Softmax");
}

absl::Status onnx_LogSoftmax(Exporter& exporter, const OpView& view) {
  return softmax(exporter, view, "LogSoftmax");
}

// Truth values have no ReduceMax: they are counted as 0 and 1.
static absl::Status quantify(Exporter& exporter, const OpView& view, const char* op_type) {
  OnnxBuilder& builder = exporter.builder();
  FXQ_ASSIGN_OR_RETURN(const std::string x, exporter.operand(view));
  const std::string truth = add_cast(builder, x, DType::kBool);
  const std::string counted = add_cast(builder, truth, DType::kI32);
  const std::string y =
      add_reduce(builder, counted, {op_type, view.attr_ints("dim"), view.attr_bool("keepdim")});
  return exporter.finish(view, add_cast(builder, y, element_type(view.node()->type)));
}

absl::Status onnx_Any(Exporter& exporter, const OpView& view) {
  return quantify(exporter, view, "ReduceMax");
}

absl::Status onnx_All(Exporter& exporter, const OpView& view) {
  return quantify(exporter, view, "ReduceMin");
}

}  // namespace fxq
