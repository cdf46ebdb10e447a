// flatten, view, reshape, unflatten, squeeze, unsqueeze, expand, repeat. Sizes that are not known
// are taken from Shape(x):   flatten(x, 1, 2) -> Reshape(x, [shape[:1], -1, shape[3:]])
#include "fxq/base/status.h"
#include "fxq/export/exporter.h"
#include "fxq/export/lowering/lowering.h"
#include "fxq/export/opset_forms.h"

namespace fxq {
namespace {

// x with its axes first..last (not negative) replaced by `middle`.
std::string replace_axes(OnnxBuilder& builder, const std::string& x, int64_t first, int64_t last,
                         const std::string& middle) {
  const std::string shape = builder.add("Shape", {x});
  std::vector<std::string> parts;
  if (first > 0) parts.push_back(add_slice(builder, shape, 0, 0, first));
  parts.push_back(middle);
  parts.push_back(add_slice(builder, shape, 0, last + 1, kEnd));
  const std::string sizes = builder.add("Concat", parts, {{"axis", int64_t{0}}});
  return builder.add("Reshape", {x, sizes});
}

absl::Status flatten(Exporter& exporter, const OpView& view) {
  OnnxBuilder& builder = exporter.builder();
  const int64_t rank = view.operand(0)->type.rank();
  int64_t start = view.attr_int("start_dim");
  int64_t end = view.attr_int("end_dim", -1);
  if (rank >= 0 && start < 0) start += rank;
  if (rank >= 0 && end < 0) end += rank;
  FXQ_ASSIGN_OR_RETURN(const std::string x, exporter.operand(view));
  const bool to_the_end = end == -1 || end == rank - 1;
  if (start == 1 && to_the_end) {
    return exporter.finish(view, builder.add("Flatten", {x}, {{"axis", start}}));
  }
  if (start >= 0 && to_the_end) {
    std::vector<int64_t> sizes(static_cast<size_t>(start), 0);
    sizes.push_back(-1);
    return exporter.finish(view, add_reshape(builder, x, sizes));
  }
  if (start < 0 || end < 0) return absl::UnimplementedError("the rank of its input is not known");
  const std::string all = builder.ints({-1});
  return exporter.finish(view, replace_axes(builder, x, start, end, all));
}

absl::Status unflatten(Exporter& exporter, const OpView& view) {
  const int64_t rank = view.operand(0)->type.rank();
  int64_t dim = view.attr_int("dim");
  if (dim < 0 && rank < 0) return absl::UnimplementedError("the rank of its input is not known");
  if (dim < 0) dim += rank;
  const std::string key = view.attr("sizes").is_none() ? "unflattened_size" : "sizes";
  FXQ_ASSIGN_OR_RETURN(const std::string x, exporter.operand(view));
  FXQ_ASSIGN_OR_RETURN(const OnnxValue sizes, exporter.ints(view.attr(key)));
  const std::string middle = exporter.int_list(sizes);
  return exporter.finish(view, replace_axes(exporter.builder(), x, dim, dim, middle));
}

absl::Status reshape_to(Exporter& exporter, const OpView& view, std::string_view name) {
  FXQ_ASSIGN_OR_RETURN(const std::string x, exporter.operand(view));
  FXQ_ASSIGN_OR_RETURN(const OnnxValue shape, exporter.ints(view.attr(name)));
  const std::string sizes = exporter.int_list(shape);
  return exporter.finish(view, exporter.builder().add("Reshape", {x, sizes}));
}

absl::Status squeeze(Exporter& exporter, const OpView& view) {
  const Type& type = view.operand(0)->type;
  FXQ_ASSIGN_OR_RETURN(const std::string x, exporter.operand(view));
  if (type.rank() < 0) return absl::UnimplementedError("the shape of its input is not known");
  std::vector<int64_t> axes;
  for (int64_t axis = 0; axis < type.rank(); ++axis) {
    if ((*type.dims)[static_cast<size_t>(axis)].size == 1) axes.push_back(axis);
  }
  if (view.op() == OpId::kSqueezeDim) {
    int64_t dim = view.attr_int("dim");
    if (dim < 0) dim += type.rank();
    if (dim < 0 || dim >= type.rank() || !(*type.dims)[static_cast<size_t>(dim)].is_known()) {
      return absl::UnimplementedError("the size of the axis that it removes is not known");
    }
    const bool is_one = (*type.dims)[static_cast<size_t>(dim)].size == 1;
    axes = is_one ? std::vector<int64_t>{dim} : std::vector<int64_t>{};
  }
  if (axes.empty()) return exporter.finish(view, exporter.builder().add("Identity", {x}));
  return exporter.finish(view, add_squeeze(exporter.builder(), x, std::move(axes)));
}

absl::Status unsqueeze(Exporter& exporter, const OpView& view) {
  FXQ_ASSIGN_OR_RETURN(const std::string x, exporter.operand(view));
  return exporter.finish(view, add_unsqueeze(exporter.builder(), x, {view.attr_int("dim")}));
}

}  // namespace

absl::Status onnx_Reshape(Exporter& exporter, const OpView& view) {
  switch (view.op()) {
    case OpId::kFlatten:
      return flatten(exporter, view);
    case OpId::kUnflatten:
      return unflatten(exporter, view);
    case OpId::kSqueeze:
    case OpId::kSqueezeDim:
      return squeeze(exporter, view);
    case OpId::kUnsqueeze:
      return unsqueeze(exporter, view);
    case OpId::kView:
      return reshape_to(exporter, view, "size");
    default:
      return reshape_to(exporter, view, "shape");
  }
}

// A size of -1 keeps the axis; ONNX's Expand broadcasts, for which 1 does the same.
absl::Status onnx_Expand(Exporter& exporter, const OpView& view) {
  FXQ_ASSIGN_OR_RETURN(const std::string x, exporter.operand(view));
  std::vector<Argument> sizes;
  const Argument given = view.attr("size");
  if (!given.items()) return absl::UnimplementedError("its sizes are no list");
  for (const Argument& item : *given.items()) {
    const auto* size = item.get_if<int64_t>();
    sizes.push_back(size && *size == -1 ? Argument(1) : item);
  }
  FXQ_ASSIGN_OR_RETURN(const OnnxValue shape, exporter.ints(Argument::list(std::move(sizes))));
  const std::string list = exporter.int_list(shape);
  return exporter.finish(view, exporter.builder().add("Expand", {x, list}));
}

// [N, C, ...] -> [N, groups, C / groups, rest] -> [N, C / groups, groups, rest] -> as x
absl::Status onnx_ChannelShuffle(Exporter& exporter, const OpView& view) {
  OnnxBuilder& builder = exporter.builder();
  FXQ_ASSIGN_OR_RETURN(const std::string x, exporter.operand(view));
  const Type& type = view.operand(0)->type;
  const int64_t groups = view.attr_int("groups", 1);
  if (type.rank() < 3 || !(*type.dims)[1].is_known()) {
    return absl::UnimplementedError("the number of its channels is not known");
  }
  const std::string apart = builder.ints({0, groups, (*type.dims)[1].size / groups, -1});
  const std::string grouped = builder.add("Reshape", {x, apart});
  const std::string swapped =
      builder.add("Transpose", {grouped}, {{"perm", std::vector<int64_t>{0, 2, 1, 3}}});
  return exporter.finish(view, builder.add("Reshape", {swapped, builder.add("Shape", {x})}));
}

// repeat may add axes in front; Tile may not.
absl::Status onnx_Tile(Exporter& exporter, const OpView& view) {
  FXQ_ASSIGN_OR_RETURN(std::string x, exporter.operand(view));
  const Argument given = view.attr("repeats");
  const int64_t rank = view.operand(0)->type.rank();
  if (!given.items()) return absl::UnimplementedError("its repeats are no list");
  if (rank < 0) return absl::UnimplementedError("the rank of its input is not known");
  std::vector<int64_t> added;
  for (int64_t i = rank; i < static_cast<int64_t>(given.items()->size()); ++i) {
    added.push_back(i - rank);
  }
  if (!added.empty()) x = add_unsqueeze(exporter.builder(), x, std::move(added));
  FXQ_ASSIGN_OR_RETURN(const OnnxValue repeats, exporter.ints(given));
  const std::string list = exporter.int_list(repeats);
  return exporter.finish(view, exporter.builder().add("Tile", {x, list}));
}

}  // namespace fxq
