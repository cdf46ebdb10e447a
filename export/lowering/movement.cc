// permute -> Transpose     slice -> Slice     select -> Gather     chunk, split -> Split
// embedding -> Gather     cat -> Concat     stack -> Unsqueeze each, Concat     pad -> Pad
// pixel_shuffle -> DepthToSpace
#include <limits>
#include <numeric>

#include "fxq/base/status.h"
#include "fxq/export/exporter.h"
#include "fxq/export/lowering/lowering.h"
#include "fxq/export/lowering/parts.h"
#include "fxq/export/lowering/sequences.h"
#include "fxq/export/opset_forms.h"

namespace fxq {
namespace {

absl::StatusOr<std::vector<std::string>> operands(Exporter& exporter, const OpView& view) {
  std::vector<std::string> names;
  const DType dtype = element_type(view.node()->type);
  const bool known = view.node()->type.dtype.has_value();
  for (size_t i = 0; i < view.operands().size(); ++i) {
    const OnnxValue& value = exporter.value(view.operand(i));
    if (value.kind == OnnxValue::Kind::kList) {
      for (const OnnxValue& child : value.children) names.push_back(child.name);
      continue;
    }
    FXQ_ASSIGN_OR_RETURN(std::string name, exporter.operand(view, i));
    const Type& type = view.operand(i)->type;
    if (known && type.dtype && element_type(type) != dtype) {
      name = add_cast(exporter.builder(), name, dtype);
    }
    names.push_back(std::move(name));
  }
  return names;
}

// Known size of the operand along `dim`; -1 if unknown.
int64_t axis_size(const OpView& view, int64_t dim) {
  const Type& type = view.operand(0)->type;
  if (type.rank() < 0) return -1;
  const int64_t axis = dim < 0 ? dim + type.rank() : dim;
  return axis < 0 || axis >= type.rank() ? -1 : (*type.dims)[static_cast<size_t>(axis)].size;
}

std::vector<int64_t> equal_parts(int64_t size, int64_t part) {
  std::vector<int64_t> parts;
  for (int64_t left = size; left > 0; left -= part) parts.push_back(std::min(left, part));
  return parts;
}

absl::StatusOr<std::vector<int64_t>> split_sizes(const OpView& view) {
  if (view.op() == OpId::kSplitWithSizes) {
    std::vector<int64_t> sizes = view.attr_ints("split_sizes");
    if (sizes.empty()) return absl::UnimplementedError("its sizes are computed while running");
    return sizes;
  }
  const int64_t size = axis_size(view, view.attr_int("dim"));
  if (size < 0) return absl::UnimplementedError("the size of the axis that it splits is not known");
  if (view.op() == OpId::kSplit) {
    const int64_t part = view.attr_int("split_size");
    if (part <= 0) return absl::UnimplementedError("its split_size is no constant above 0");
    return equal_parts(size, part);
  }
  const int64_t chunks = view.attr_int("chunks");
  if (chunks <= 0) return absl::UnimplementedError("its number of chunks is no constant above 0");
  return equal_parts(size, (size + chunks - 1) / chunks);
}

}  // namespace

// Of two axes; fewer stay as they are.
absl::Status onnx_T(Exporter& exporter, const OpView& view) {
  const int64_t rank = view.operand(0)->type.rank();
  if (rank < 0) return absl::UnimplementedError("the rank of its input is not known");
  FXQ_ASSIGN_OR_RETURN(const std::string x, exporter.operand(view));
  OnnxBuilder& builder = exporter.builder();
  return exporter.finish(view,
                         rank < 2 ? builder.add("Identity", {x}) : builder.add("Transpose", {x}));
}

absl::Status onnx_Transpose(Exporter& exporter, const OpView& view) {
  FXQ_ASSIGN_OR_RETURN(const std::string x, exporter.operand(view));
  int64_t rank = view.operand(0)->type.rank();
  std::vector<int64_t> perm;
  if (view.op() == OpId::kPermute) {
    perm = view.attr_ints("dims");
    rank = static_cast<int64_t>(perm.size());
    for (int64_t& dim : perm) dim += dim < 0 ? rank : 0;
  } else {
    if (rank < 0) return absl::UnimplementedError("the rank of its input is not known");
    perm.resize(static_cast<size_t>(rank));
    std::iota(perm.begin(), perm.end(), 0);
    auto at = [&](const char* name) {
      const int64_t dim = view.attr_int(name);
      return static_cast<size_t>(dim < 0 ? dim + rank : dim);
    };
    if (rank > 0) std::swap(perm.at(at("dim0")), perm.at(at("dim1")));
  }
  return exporter.finish(view, exporter.builder().add("Transpose", {x}, {{"perm", perm}}));
}

absl::Status onnx_Slice(Exporter& exporter, const OpView& view) {
  OnnxBuilder& builder = exporter.builder();
  FXQ_ASSIGN_OR_RETURN(const std::string x, exporter.operand(view));
  auto bound = [&](const char* name, int64_t fallback) {
    const Argument value = view.attr(name);
    return exporter.ints(value.is_none() ? Argument(fallback) : value);
  };
  FXQ_ASSIGN_OR_RETURN(const OnnxValue start, bound("start", 0));
  FXQ_ASSIGN_OR_RETURN(const OnnxValue end, bound("end", std::numeric_limits<int64_t>::max()));
  FXQ_ASSIGN_OR_RETURN(const OnnxValue step, bound("step", 1));
  FXQ_ASSIGN_OR_RETURN(const OnnxValue dim, bound("dim", 0));
  const std::string from = exporter.int_list(start);
  const std::string to = exporter.int_list(end);
  const std::string along = exporter.int_list(dim);
  const std::string by = exporter.int_list(step);
  return exporter.finish(view, builder.add("Slice", {x, from, to, along, by}));
}

absl::Status onnx_Select(Exporter& exporter, const OpView& view) {
  FXQ_ASSIGN_OR_RETURN(const std::string x, exporter.operand(view));
  FXQ_ASSIGN_OR_RETURN(const OnnxValue index, exporter.ints(view.attr("index")));
  const std::string at = exporter.int_tensor(index);
  return exporter.finish(
      view, exporter.builder().add("Gather", {x, at}, {{"axis", view.attr_int("dim")}}));
}

absl::Status onnx_Split(Exporter& exporter, const OpView& view) {
  FXQ_ASSIGN_OR_RETURN(const std::string x, exporter.operand(view));
  FXQ_ASSIGN_OR_RETURN(const std::vector<int64_t> sizes, split_sizes(view));
  std::vector<std::string> parts = add_split(exporter.builder(), x, sizes, view.attr_int("dim"));
  return finish_parts(exporter, view, std::move(parts));
}

namespace {

absl::Status join_sequence(Exporter& exporter, const OpView& view, const OnnxValue& sequence,
                           int64_t new_axis) {
  return exporter.finish(
      view, exporter.builder().add("ConcatFromSequence", {sequence.name},
                                   {{"axis", view.attr_int("dim")}, {"new_axis", new_axis}}));
}

}  // namespace

absl::Status onnx_Concat(Exporter& exporter, const OpView& view) {
  if (const OnnxValue* list = joined_sequence(exporter, view)) {
    return join_sequence(exporter, view, *list, 0);
  }
  FXQ_ASSIGN_OR_RETURN(std::vector<std::string> parts, operands(exporter, view));
  return exporter.finish(
      view, exporter.builder().add("Concat", std::move(parts), {{"axis", view.attr_int("dim")}}));
}

absl::Status onnx_Stack(Exporter& exporter, const OpView& view) {
  if (const OnnxValue* list = joined_sequence(exporter, view)) {
    return join_sequence(exporter, view, *list, 1);
  }
  FXQ_ASSIGN_OR_RETURN(std::vector<std::string> parts, operands(exporter, view));
  const int64_t dim = view.attr_int("dim");
  for (std::string& part : parts) part = add_unsqueeze(exporter.builder(), part, {dim});
  return exporter.finish(view, exporter.builder().add("Concat", std::move(parts), {{"axis", dim}}));
}

// Rows of the table, chosen by integers.
absl::Status onnx_Gather(Exporter& exporter, const OpView& view) {
  FXQ_ASSIGN_OR_RETURN(const std::string table, exporter.param(view, "weight"));
  FXQ_ASSIGN_OR_RETURN(const std::string indices, exporter.operand(view));
  return exporter.finish(
      view, exporter.builder().add("Gather", {table, indices}, {{"axis", int64_t{0}}}));
}

absl::Status onnx_DepthToSpace(Exporter& exporter, const OpView& view) {
  FXQ_ASSIGN_OR_RETURN(const std::string x, exporter.operand(view));
  return exporter.finish(
      view, exporter.builder().add(
                "DepthToSpace", {x},
                {{"blocksize", view.attr_int("upscale_factor")}, {"mode", std::string("CRD")}}));
}

}  // namespace fxq
