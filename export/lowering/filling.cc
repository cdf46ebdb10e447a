// zeros(sizes), full_like(x, v), fill(x, v) -> Expand(v, sizes or Shape(x))
// copy(x, y) -> Expand(y, Shape(x))
// slice_scatter(x, y, dim, a, b) -> Concat(x[:a], y, x[b:]); with steps ScatterElements
#include "fxq/base/status.h"
#include "fxq/export/exporter.h"
#include "fxq/export/lowering/lowering.h"
#include "fxq/export/opset_forms.h"

namespace fxq {
namespace {

bool has_argument(const OpView& view, std::string_view name) { return !view.attr(name).is_none(); }

absl::StatusOr<std::string> shape_of(Exporter& exporter, const OpView& view) {
  if (has_argument(view, "size")) {
    FXQ_ASSIGN_OR_RETURN(const OnnxValue sizes, exporter.ints(view.attr("size")));
    return exporter.int_list(sizes);
  }
  FXQ_ASSIGN_OR_RETURN(const std::string like, exporter.operand(view));
  return exporter.builder().add("Shape", {like});
}

// The new tensor, filled with `value`, 0-D.
absl::Status fill(Exporter& exporter, const OpView& view, const std::string& value) {
  FXQ_ASSIGN_OR_RETURN(const std::string shape, shape_of(exporter, view));
  return exporter.finish(view, exporter.builder().add("Expand", {value, shape}));
}

absl::Status fill_number(Exporter& exporter, const OpView& view, double number) {
  return fill(exporter, view, exporter.builder().scalar(element_type(view.node()->type), number));
}

// Filled with the number that the call has as its argument `name`.
absl::Status fill_argument(Exporter& exporter, const OpView& view, std::string_view name) {
  if (!view.attr(name).is_constant()) {
    return absl::UnimplementedError("the number it is filled with is computed while running");
  }
  return fill_number(exporter, view, view.attr_float(name));
}

bool has_shape_of(const Type& a, const Type& b) {
  return a.has_static_shape() && b.has_static_shape() && a.dims == b.dims;
}

absl::StatusOr<std::string> part(Exporter& exporter, const OpView& view, size_t operand) {
  FXQ_ASSIGN_OR_RETURN(const std::string x, exporter.operand(view, operand));
  const DType dtype = element_type(view.node()->type);
  const Type& type = view.operand(operand)->type;
  return type.dtype && element_type(type) == dtype ? x : add_cast(exporter.builder(), x, dtype);
}

// Known size of operand 0 along `axis`, which becomes non-negative; -1 if unknown.
int64_t extent_of(const OpView& view, int64_t& axis) {
  const Type& type = view.operand(0)->type;
  if (type.rank() <= 0) return -1;
  if (axis < 0) axis += type.rank();
  return (*type.dims)[static_cast<size_t>(axis)].size;
}

struct Span {
  int64_t axis = 0, start = 0, end = kEnd, step = 1, extent = 0;
};

int64_t clamped(int64_t position, int64_t extent) {
  if (position < 0) position += extent;
  return std::min(std::max<int64_t>(position, 0), extent);
}

absl::StatusOr<Span> span_of(const OpView& view) {
  Span span;
  span.axis = view.attr_int("dim", 0);
  span.extent = extent_of(view, span.axis);
  for (const char* name : {"start", "end", "step"}) {
    const Argument value = view.attr(name);
    if (!value.is_none() && !value.is_constant()) {
      return absl::UnimplementedError("the part it writes is computed while running");
    }
  }
  if (span.extent < 0) return absl::UnimplementedError("the size of the axis is not known");
  span.start = clamped(view.attr_int("start", 0), span.extent);
  span.end = std::max(clamped(view.attr_int("end", kEnd), span.extent), span.start);
  span.step = view.attr_int("step", 1);
  return span;
}

std::string put_between(OnnxBuilder& builder, const std::string& x, const std::string& y,
                        const Span& span) {
  std::vector<std::string> parts;
  if (span.start > 0) parts.push_back(add_slice(builder, x, span.axis, 0, span.start));
  parts.push_back(y);
  if (span.end < span.extent) parts.push_back(add_slice(builder, x, span.axis, span.end, kEnd));
  if (parts.size() == 1) return builder.add("Identity", std::move(parts));
  return builder.add("Concat", std::move(parts), {{"axis", span.axis}});
}

// Positions start, start + step, ... along the axis, for every element of y.
std::string put_at_steps(OnnxBuilder& builder, const std::string& x, const std::string& y,
                         const Span& span, int rank) {
  std::vector<int64_t> positions;
  for (int64_t at = span.start; at < span.end; at += span.step) positions.push_back(at);
  std::vector<int64_t> shape(static_cast<size_t>(rank), 1);
  shape[static_cast<size_t>(span.axis)] = static_cast<int64_t>(positions.size());
  const std::string flat = builder.ints(positions);
  const std::string along = add_reshape(builder, flat, shape);
  const std::string all = builder.add("Shape", {y});
  const std::string indices = builder.add("Expand", {along, all});
  return builder.add("ScatterElements", {x, indices, y}, {{"axis", span.axis}});
}

// At a place that is computed while running.
absl::Status put_at_index(Exporter& exporter, const OpView& view, int64_t axis) {
  OnnxBuilder& builder = exporter.builder();
  FXQ_ASSIGN_OR_RETURN(const OnnxValue index, exporter.ints(view.attr("index")));
  FXQ_ASSIGN_OR_RETURN(const std::string x, part(exporter, view, 0));
  FXQ_ASSIGN_OR_RETURN(std::string y, part(exporter, view, 1));
  y = add_unsqueeze(builder, y, {axis});
  const std::string all = builder.add("Shape", {y});
  const std::string at = exporter.int_tensor(index);
  const std::string indices = builder.add("Expand", {at, all});
  return exporter.finish(view, builder.add("ScatterElements", {x, indices, y}, {{"axis", axis}}));
}

}  // namespace

absl::Status onnx_Zeros(Exporter& exporter, const OpView& view) {
  return fill_number(exporter, view, 0.0);
}

absl::Status onnx_Ones(Exporter& exporter, const OpView& view) {
  return fill_number(exporter, view, 1.0);
}

absl::Status onnx_Full(Exporter& exporter, const OpView& view) {
  return fill_argument(exporter, view, "fill_value");
}

absl::Status onnx_FillScalar(Exporter& exporter, const OpView& view) {
  return fill_argument(exporter, view, "value");
}

absl::Status onnx_FillTensor(Exporter& exporter, const OpView& view) {
  FXQ_ASSIGN_OR_RETURN(const std::string value, exporter.operand(view, 1));
  return fill(exporter, view, add_cast(exporter.builder(), value, element_type(view.node()->type)));
}

absl::Status onnx_Copy(Exporter& exporter, const OpView& view) {
  if (!view.operand(1)) return absl::UnimplementedError("one of its operands is no tensor");
  FXQ_ASSIGN_OR_RETURN(std::string value, part(exporter, view, 1));
  if (!has_shape_of(view.operand(0)->type, view.operand(1)->type)) {
    FXQ_ASSIGN_OR_RETURN(const std::string shape, shape_of(exporter, view));
    value = exporter.builder().add("Expand", {value, shape});
  }
  return exporter.finish(view, std::move(value));
}

absl::Status onnx_SliceScatter(Exporter& exporter, const OpView& view) {
  if (!view.operand(1)) return absl::UnimplementedError("one of its operands is no tensor");
  FXQ_ASSIGN_OR_RETURN(const Span span, span_of(view));
  FXQ_ASSIGN_OR_RETURN(const std::string x, part(exporter, view, 0));
  FXQ_ASSIGN_OR_RETURN(const std::string y, part(exporter, view, 1));
  const int rank = view.operand(0)->type.rank();
  return exporter.finish(view, span.step == 1 ? put_between(exporter.builder(), x, y, span)
                                              : put_at_steps(exporter.builder(), x, y, span, rank));
}

absl::Status onnx_SelectScatter(Exporter& exporter, const OpView& view) {
  if (!view.operand(1)) return absl::UnimplementedError("one of its operands is no tensor");
  Span span;
  span.axis = view.attr_int("dim", 0);
  span.extent = extent_of(view, span.axis);
  if (!view.attr("index").is_constant()) return put_at_index(exporter, view, span.axis);
  if (span.extent < 0) return absl::UnimplementedError("the size of the axis is not known");
  span.start = clamped(view.attr_int("index"), span.extent);
  span.end = span.start + 1;
  FXQ_ASSIGN_OR_RETURN(const std::string x, part(exporter, view, 0));
  FXQ_ASSIGN_OR_RETURN(std::string y, part(exporter, view, 1));
  y = add_unsqueeze(exporter.builder(), y, {span.axis});
  return exporter.finish(view, put_between(exporter.builder(), x, y, span));
}

}  // namespace fxq
