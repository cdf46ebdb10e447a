// unbind -> Split, Squeeze each     index_select, x[..., i] -> Gather     narrow -> Slice
// roll -> Concat of two Slices     flip -> Slice by -1     einsum -> Einsum
#include <limits>

#include "fxq/base/status.h"
#include "fxq/export/exporter.h"
#include "fxq/export/lowering/lowering.h"
#include "fxq/export/lowering/parts.h"
#include "fxq/export/opset_forms.h"

namespace fxq {
namespace {

int64_t size_along(const OpView& view, int64_t& axis) {
  const Type& type = view.operand(0)->type;
  if (type.rank() <= 0) return -1;
  if (axis < 0) axis += type.rank();
  return (*type.dims)[static_cast<size_t>(axis)].size;
}

std::string roll_axis(OnnxBuilder& builder, const std::string& x, int64_t axis, int64_t shift,
                      int64_t size) {
  shift = ((shift % size) + size) % size;
  if (shift == 0) return x;
  const std::string back = add_slice(builder, x, axis, size - shift, kEnd);
  const std::string front = add_slice(builder, x, axis, 0, size - shift);
  return builder.add("Concat", {back, front}, {{"axis", axis}});
}

}  // namespace

absl::Status onnx_Unbind(Exporter& exporter, const OpView& view) {
  OnnxBuilder& builder = exporter.builder();
  int64_t axis = view.attr_int("dim", 0);
  const int64_t size = size_along(view, axis);
  if (size < 1) return absl::UnimplementedError("the size of the axis it takes apart is not known");
  FXQ_ASSIGN_OR_RETURN(const std::string x, exporter.operand(view));
  std::vector<std::string> parts =
      add_split(builder, x, std::vector<int64_t>(static_cast<size_t>(size), 1), axis);
  for (std::string& part : parts) part = add_squeeze(builder, part, {axis});
  return finish_parts(exporter, view, std::move(parts));
}

absl::Status onnx_Narrow(Exporter& exporter, const OpView& view) {
  int64_t axis = view.attr_int("dim", 0);
  const int64_t size = size_along(view, axis);
  if (!view.attr("start").is_constant() || !view.attr("length").is_constant()) {
    return absl::UnimplementedError("the part it takes is computed while running");
  }
  int64_t start = view.attr_int("start");
  if (start < 0 && size < 0) return absl::UnimplementedError("the size of the axis is not known");
  if (start < 0) start += size;
  FXQ_ASSIGN_OR_RETURN(const std::string x, exporter.operand(view));
  return exporter.finish(
      view, add_slice(exporter.builder(), x, axis, start, start + view.attr_int("length")));
}

absl::Status onnx_IndexSelect(Exporter& exporter, const OpView& view) {
  FXQ_ASSIGN_OR_RETURN(const std::string x, exporter.operand(view));
  FXQ_ASSIGN_OR_RETURN(const std::string index, exporter.operand(view, 1));
  return exporter.finish(
      view, exporter.builder().add("Gather", {x, index}, {{"axis", view.attr_int("dim")}}));
}

absl::Status onnx_GatherElements(Exporter& exporter, const OpView& view) {
  FXQ_ASSIGN_OR_RETURN(const std::string x, exporter.operand(view));
  FXQ_ASSIGN_OR_RETURN(const std::string index, exporter.operand(view, 1));
  return exporter.finish(
      view, exporter.builder().add("GatherElements", {x, index}, {{"axis", view.attr_int("dim")}}));
}

// x[:, :, i]: one tensor of integers among the indices.
absl::Status onnx_Index(Exporter& exporter, const OpView& view) {
  const std::vector<Argument>* indices = view.node()->args().at(1).items();
  const Node* index = nullptr;
  int64_t axis = 0;
  for (size_t i = 0; indices && i < indices->size(); ++i) {
    if ((*indices)[i].is_none()) continue;
    if (index) return absl::UnimplementedError("more than one tensor of indices");
    index = (*indices)[i].node();
    axis = static_cast<int64_t>(i);
  }
  if (!index) return absl::UnimplementedError("its indices are not known");
  const DType dtype = index->type.dtype.value_or(DType::kF32);
  if (dtype != DType::kI64 && dtype != DType::kI32) {
    return absl::UnimplementedError("an index that is a mask: the result's size depends on data");
  }
  FXQ_ASSIGN_OR_RETURN(const std::string x, exporter.operand(view));
  FXQ_ASSIGN_OR_RETURN(const std::string at, exporter.tensor(index));
  return exporter.finish(view, exporter.builder().add("Gather", {x, at}, {{"axis", axis}}));
}

absl::Status onnx_Roll(Exporter& exporter, const OpView& view) {
  const std::vector<int64_t> shifts = view.attr_ints("shifts");
  const std::vector<int64_t> dims = view.attr_ints("dims");
  if (shifts.empty() || shifts.size() != dims.size()) {
    return absl::UnimplementedError("a roll without dims, or by shifts that are no constants");
  }
  FXQ_ASSIGN_OR_RETURN(std::string x, exporter.operand(view));
  for (size_t i = 0; i < dims.size(); ++i) {
    int64_t axis = dims[i];
    const int64_t size = size_along(view, axis);
    if (size < 1) return absl::UnimplementedError("the size of an axis it rolls is not known");
    x = roll_axis(exporter.builder(), x, axis, shifts[i], size);
  }
  return exporter.finish(view, exporter.builder().add("Identity", {x}));
}

absl::Status onnx_Flip(Exporter& exporter, const OpView& view) {
  OnnxBuilder& builder = exporter.builder();
  FXQ_ASSIGN_OR_RETURN(const std::string x, exporter.operand(view));
  const std::vector<int64_t> dims = view.attr_ints("dims");
  const std::string from = builder.ints(std::vector<int64_t>(dims.size(), -1));
  const std::string to =
      builder.ints(std::vector<int64_t>(dims.size(), std::numeric_limits<int64_t>::min()));
  const std::string along = builder.ints(dims);
  const std::string by = builder.ints(std::vector<int64_t>(dims.size(), -1));
  return exporter.finish(view, builder.add("Slice", {x, from, to, along, by}));
}

absl::Status onnx_Einsum(Exporter& exporter, const OpView& view) {
  if (exporter.opset() < 12) return absl::UnimplementedError("Einsum needs opset 12");
  std::vector<std::string> inputs;
  for (size_t i = 0; i < view.operands().size(); ++i) {
    FXQ_ASSIGN_OR_RETURN(std::string x, exporter.operand(view, i));
    inputs.push_back(std::move(x));
  }
  return exporter.finish(view,
                         exporter.builder().add("Einsum", std::move(inputs),
                                                {{"equation", view.attr_string("equation")}}));
}

// The two axes become one at the end, from which every (columns + 1)th element is taken.
absl::Status onnx_Diagonal(Exporter& exporter, const OpView& view) {
  OnnxBuilder& builder = exporter.builder();
  int64_t rows_axis = view.attr_int("dim1", 0);
  int64_t columns_axis = view.attr_int("dim2", 1);
  const int64_t rows = size_along(view, rows_axis);
  const int64_t columns = size_along(view, columns_axis);
  if (rows < 0 || columns < 0) {
    return absl::UnimplementedError("the sizes of the axes whose diagonal it takes are not known");
  }
  std::vector<int64_t> perm, shape;
  for (int64_t axis = 0; axis < view.operand(0)->type.rank(); ++axis) {
    if (axis == rows_axis || axis == columns_axis) continue;
    perm.push_back(axis);
    shape.push_back(0);
  }
  perm.push_back(rows_axis);
  perm.push_back(columns_axis);
  shape.push_back(rows * columns);
  const int64_t offset = view.attr_int("offset", 0);
  std::vector<int64_t> indices;
  for (int64_t row = std::max<int64_t>(-offset, 0); row < rows && row + offset < columns; ++row) {
    indices.push_back(row * columns + row + offset);
  }
  FXQ_ASSIGN_OR_RETURN(const std::string x, exporter.operand(view));
  const std::string moved = builder.add("Transpose", {x}, {{"perm", perm}});
  const std::string flat = add_reshape(builder, moved, shape);
  const std::string at = builder.ints(indices);
  return exporter.finish(view, builder.add("Gather", {flat, at}, {{"axis", int64_t{-1}}}));
}

}  // namespace fxq
