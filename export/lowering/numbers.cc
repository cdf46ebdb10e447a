// Ints, floats and bools of Python: 0-D i64, f64 and bool. What is known when exporting stays a
// constant.
//   i < n -> Less     not b -> Not     range_length(a, b, s) -> max(0, (b - a + s - 1) / s)
//   float(x) -> Cast(Reshape(x, []))     torch.tensor(i) -> Cast     x.dim() -> a constant
#include "fxq/base/status.h"
#include "fxq/export/exporter.h"
#include "fxq/export/lowering/lowering.h"
#include "fxq/export/opset_forms.h"
#include "fxq/graph/tensor_convert.h"

namespace fxq {
namespace {

using Kind = OnnxValue::Kind;

void set_named(Exporter& exporter, const OpView& view, Kind kind, std::string name) {
  const std::string& wanted = view.node()->name();
  if (exporter.builder().rename(name, wanted)) name = wanted;
  exporter.set(view.node(), OnnxValue::named(kind, std::move(name)));
}

absl::StatusOr<OnnxValue> number(Exporter& exporter, const OpView& view, size_t i) {
  if (i >= view.node()->args().size()) return absl::UnimplementedError("it needs more arguments");
  return exporter.value_of(view.node()->args()[i]);
}

// The number as a 0-D tensor of f64.
absl::StatusOr<std::string> as_double(Exporter& exporter, const OnnxValue& value) {
  if (value.kind == Kind::kFloat) return value.name;
  if (value.kind != Kind::kInt) return absl::UnimplementedError("it needs numbers");
  if (value.is_constant()) {
    return exporter.builder().scalar(DType::kF64, static_cast<double>(value.constant[0]));
  }
  return add_cast(exporter.builder(), value.name, DType::kF64);
}

// An operator, and the one that says the opposite of integers: opset 11 has no LessOrEqual and no
// GreaterOrEqual, none has NotEqual.
struct Compared {
  const char* op_type;
  const char* opposite;
  bool (*known)(int64_t, int64_t);
};

std::string lesser_or_greater(OnnxBuilder& builder, const std::string& a, const std::string& b,
                              bool lesser) {
  const std::string first = builder.add(lesser ? "Less" : "Greater", {a, b});
  return builder.add("Where", {first, a, b});
}

// The three integers of range(...) or of an index in one.
struct Three {
  OnnxValue a, b, c;
  bool known() const { return a.is_constant() && b.is_constant() && c.is_constant(); }
};

absl::StatusOr<Three> three_ints(Exporter& exporter, const OpView& view) {
  Three result;
  OnnxValue* const parts[] = {&result.a, &result.b, &result.c};
  for (size_t i = 0; i < 3; ++i) {
    FXQ_ASSIGN_OR_RETURN(*parts[i], number(exporter, view, i));
    if (parts[i]->kind != Kind::kInt) return absl::UnimplementedError("it needs three integers");
  }
  return result;
}

// ceil(distance / step), both up or both down.
int64_t trips(int64_t low, int64_t high, int64_t step) {
  const int64_t distance = step > 0 ? high - low : low - high;
  const int64_t stride = step > 0 ? step : -step;
  return distance <= 0 ? 0 : (distance + stride - 1) / stride;
}

absl::StatusOr<Kind> kind_of_number(const OpView& view) {
  switch (view.op()) {
    case OpId::kBoolOf:
      return Kind::kBool;
    case OpId::kIntOf:
      return Kind::kInt;
    case OpId::kFloatOf:
      return Kind::kFloat;
    default:
      break;
  }
  switch (view.node()->type.kind) {
    case Type::Kind::kBool:
      return Kind::kBool;
    case Type::Kind::kInt:
      return Kind::kInt;
    case Type::Kind::kFloat:
      return Kind::kFloat;
    default:
      return absl::UnimplementedError("what kind of number it gives is not known");
  }
}

DType dtype_of(Kind kind) {
  return kind == Kind::kBool ? DType::kBool : kind == Kind::kInt ? DType::kI64 : DType::kF64;
}

absl::Status compare(Exporter& exporter, const OpView& view, const Compared& how) {
  FXQ_ASSIGN_OR_RETURN(const OnnxValue a, number(exporter, view, 0));
  FXQ_ASSIGN_OR_RETURN(const OnnxValue b, number(exporter, view, 1));
  if (a.is_constant() && b.is_constant()) {
    exporter.set(view.node(), OnnxValue::boolean(how.known(a.constant[0], b.constant[0])));
    return absl::OkStatus();
  }
  std::vector<std::string> sides;
  const bool are_ints = a.kind == Kind::kInt && b.kind == Kind::kInt;
  for (const OnnxValue* side : {&a, &b}) {
    FXQ_ASSIGN_OR_RETURN(std::string name,
                         are_ints ? exporter.int_tensor(*side) : as_double(exporter, *side));
    sides.push_back(std::move(name));
  }
  const bool negated = !how.op_type || (how.opposite && exporter.opset() < 12);
  std::string answer =
      exporter.builder().add(negated ? how.opposite : how.op_type, std::move(sides));
  if (negated) answer = exporter.builder().add("Not", {answer});
  set_named(exporter, view, Kind::kBool, std::move(answer));
  return absl::OkStatus();
}

}  // namespace

#define FXQ_COMPARES(name, op_type, opposite, holds)                                     \
  absl::Status onnx_##name##Numbers(Exporter& exporter, const OpView& view) {            \
    return compare(exporter, view,                                                       \
                   {op_type, opposite, [](int64_t a, int64_t b) { return a holds b; }}); \
  }

FXQ_COMPARES(Eq, "Equal", nullptr, ==)
FXQ_COMPARES(Ne, nullptr, "Equal", !=)
FXQ_COMPARES(Lt, "Less", nullptr, <)
FXQ_COMPARES(Le, "LessOrEqual", "Greater", <=)
FXQ_COMPARES(Gt, "Greater", nullptr, >)
FXQ_COMPARES(Ge, "GreaterOrEqual", "Less", >=)

absl::Status onnx_LogicOfBools(Exporter& exporter, const OpView& view) {
  FXQ_ASSIGN_OR_RETURN(const OnnxValue a, number(exporter, view, 0));
  const bool negates = view.op() == OpId::kNotBool;
  OnnxValue b = a;
  if (!negates) {
    FXQ_ASSIGN_OR_RETURN(b, number(exporter, view, 1));
  }
  if (a.kind != Kind::kBool || b.kind != Kind::kBool) {
    return absl::UnimplementedError("it needs truth values");
  }
  const bool both = view.op() == OpId::kAndBool;
  if (a.is_constant() && b.is_constant()) {
    const bool x = a.constant[0] != 0, y = b.constant[0] != 0;
    exporter.set(view.node(), OnnxValue::boolean(negates ? !x : both ? x && y : x || y));
    return absl::OkStatus();
  }
  std::vector<std::string> inputs{exporter.bool_tensor(a)};
  if (!negates) inputs.push_back(exporter.bool_tensor(b));
  const char* op_type = negates ? "Not" : both ? "And" : "Or";
  set_named(exporter, view, Kind::kBool, exporter.builder().add(op_type, std::move(inputs)));
  return absl::OkStatus();
}

absl::Status onnx_NegNumber(Exporter& exporter, const OpView& view) {
  FXQ_ASSIGN_OR_RETURN(const OnnxValue a, number(exporter, view, 0));
  if (a.is_constant()) {
    exporter.set(view.node(), OnnxValue::integer(-a.constant[0]));
    return absl::OkStatus();
  }
  set_named(exporter, view, a.kind, exporter.builder().add("Neg", {a.name}));
  return absl::OkStatus();
}

absl::Status onnx_FloatArithmetic(Exporter& exporter, const OpView& view) {
  FXQ_ASSIGN_OR_RETURN(const OnnxValue a, number(exporter, view, 0));
  FXQ_ASSIGN_OR_RETURN(const OnnxValue b, number(exporter, view, 1));
  FXQ_ASSIGN_OR_RETURN(const std::string x, as_double(exporter, a));
  FXQ_ASSIGN_OR_RETURN(const std::string y, as_double(exporter, b));
  const char* op_type = view.op() == OpId::kAddFloat   ? "Add"
                        : view.op() == OpId::kSubFloat ? "Sub"
                        : view.op() == OpId::kMulFloat ? "Mul"
                                                       : "Div";
  set_named(exporter, view, Kind::kFloat, exporter.builder().add(op_type, {x, y}));
  return absl::OkStatus();
}

absl::Status onnx_ChooseNumber(Exporter& exporter, const OpView& view) {
  FXQ_ASSIGN_OR_RETURN(const OnnxValue a, number(exporter, view, 0));
  FXQ_ASSIGN_OR_RETURN(const OnnxValue b, number(exporter, view, 1));
  if (a.kind != Kind::kInt || b.kind != Kind::kInt) {
    return absl::UnimplementedError("it needs two integers");
  }
  const bool lesser = view.op() == OpId::kMinInt;
  if (a.is_constant() && b.is_constant()) {
    exporter.set(view.node(), OnnxValue::integer(lesser ? std::min(a.constant[0], b.constant[0])
                                                        : std::max(a.constant[0], b.constant[0])));
    return absl::OkStatus();
  }
  const std::string x = exporter.int_tensor(a);
  const std::string y = exporter.int_tensor(b);
  set_named(exporter, view, Kind::kInt, lesser_or_greater(exporter.builder(), x, y, lesser));
  return absl::OkStatus();
}

absl::Status onnx_RangeLength(Exporter& exporter, const OpView& view) {
  FXQ_ASSIGN_OR_RETURN(const Three range, three_ints(exporter, view));
  if (!range.c.is_constant() || range.c.constant[0] == 0) {
    return absl::UnimplementedError("the step of its range is no constant");
  }
  const int64_t step = range.c.constant[0];
  if (range.known()) {
    exporter.set(view.node(),
                 OnnxValue::integer(trips(range.a.constant[0], range.b.constant[0], step)));
    return absl::OkStatus();
  }
  OnnxBuilder& builder = exporter.builder();
  const std::string low = exporter.int_tensor(step > 0 ? range.a : range.b);
  const std::string high = exporter.int_tensor(step > 0 ? range.b : range.a);
  const int64_t stride = step > 0 ? step : -step;
  std::string count = builder.add("Sub", {high, low});
  if (stride > 1) {
    const std::string more = builder.add("Add", {count, builder.int_scalar(stride - 1)});
    count = builder.add("Div", {more, builder.int_scalar(stride)});
  }
  const std::string none = builder.int_scalar(0);
  set_named(exporter, view, Kind::kInt, lesser_or_greater(builder, count, none, false));
  return absl::OkStatus();
}

// start + index * step
absl::Status onnx_DeriveIndex(Exporter& exporter, const OpView& view) {
  FXQ_ASSIGN_OR_RETURN(const Three index, three_ints(exporter, view));
  if (index.known()) {
    exporter.set(view.node(), OnnxValue::integer(index.b.constant[0] +
                                                 index.a.constant[0] * index.c.constant[0]));
    return absl::OkStatus();
  }
  OnnxBuilder& builder = exporter.builder();
  const std::string i = exporter.int_tensor(index.a);
  const std::string start = exporter.int_tensor(index.b);
  const std::string step = exporter.int_tensor(index.c);
  const std::string offset = builder.add("Mul", {i, step});
  set_named(exporter, view, Kind::kInt, builder.add("Add", {start, offset}));
  return absl::OkStatus();
}

// bool(x), int(x), float(x), x.item(): of a tensor with one element, or another number.
absl::Status onnx_NumberOf(Exporter& exporter, const OpView& view) {
  OnnxBuilder& builder = exporter.builder();
  const Argument& argument = view.node()->args().at(0);
  FXQ_ASSIGN_OR_RETURN(const OnnxValue value, exporter.value_of(argument));
  FXQ_ASSIGN_OR_RETURN(const Kind kind, kind_of_number(view));
  if (value.kind == kind) {
    exporter.set(view.node(), OnnxValue(value));
    return absl::OkStatus();
  }
  std::string x = value.name;
  if (value.kind == Kind::kInt) x = exporter.int_tensor(value);
  if (value.kind == Kind::kBool) x = exporter.bool_tensor(value);
  if (value.kind == Kind::kTensor) {
    const Type& type = argument.node()->type;
    if (type.rank() != 0) x = add_reshape(builder, x, {});
    if (!type.dtype || element_type(type) != dtype_of(kind))
      x = add_cast(builder, x, dtype_of(kind));
  } else if (value.kind == Kind::kInt || value.kind == Kind::kBool || value.kind == Kind::kFloat) {
    x = add_cast(builder, x, dtype_of(kind));
  } else {
    return absl::UnimplementedError("it needs one number");
  }
  set_named(exporter, view, kind, std::move(x));
  return absl::OkStatus();
}

absl::Status onnx_TensorOf(Exporter& exporter, const OpView& view) {
  FXQ_ASSIGN_OR_RETURN(const OnnxValue value, number(exporter, view, 0));
  if (!view.node()->type.dtype) return absl::UnimplementedError("its dtype is not known");
  std::string x = value.name;
  if (value.kind == Kind::kInt) x = exporter.int_tensor(value);
  if (value.kind == Kind::kBool) x = exporter.bool_tensor(value);
  if (x.empty()) return absl::UnimplementedError("it needs one number");
  return exporter.finish(view, add_cast(exporter.builder(), x, element_type(view.node()->type)));
}

// What a tensor's type answers.
absl::Status onnx_Fact(Exporter& exporter, const OpView& view) {
  const Type& type = view.operand(0)->type;
  if (view.op() == OpId::kDimOf) {
    if (type.rank() < 0) return absl::UnimplementedError("the rank of its input is not known");
    exporter.set(view.node(), OnnxValue::integer(type.rank()));
    return absl::OkStatus();
  }
  if (!type.dtype) return absl::UnimplementedError("the dtype of its input is not known");
  const DType dtype = element_type(type);
  const bool real =
      dtype == DType::kF32 || dtype == DType::kF64 || dtype == DType::kF16 || dtype == DType::kBF16;
  exporter.set(view.node(), view.op() == OpId::kDTypeOf
                                ? OnnxValue::integer(scalar_type_number(dtype))
                                : OnnxValue::boolean(real));
  return absl::OkStatus();
}

absl::Status onnx_NumElements(Exporter& exporter, const OpView& view) {
  const Type& type = view.operand(0)->type;
  if (type.has_static_shape() && exporter.options().do_constant_folding) {
    int64_t count = 1;
    for (const Dim& dim : *type.dims) count *= dim.size;
    exporter.set(view.node(), OnnxValue::integer(count));
    return absl::OkStatus();
  }
  FXQ_ASSIGN_OR_RETURN(const std::string x, exporter.operand(view));
  set_named(exporter, view, Kind::kInt, exporter.builder().add("Size", {x}));
  return absl::OkStatus();
}

}  // namespace fxq
