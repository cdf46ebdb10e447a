// Kernels of registers: computed by infer while a signature is prepared, never run.
//   Size      x, attr dim (or input 1) -> int       Sizes   x -> ints
//   GetItem   ints, attr index (or input 1) -> int  Ints    int or ints ... -> ints
//   Scalar    attr value: int, float, bool or ints
//   IntArithmetic  attr op: add sub mul floordiv remainder neg min max; ints -> int
//   Compare   attr op: eq ne lt le gt ge; ints -> bool    Logic  attr op: and or not; bools -> bool
// Division rounds down, as Python's.
#include "fxq/base/status.h"
#include "fxq/runtime/kernels/checks.h"

namespace fxq {
namespace {

using namespace kernels;  // NOLINT(google-build-using-namespace): this file is one of its members
using Ints = std::vector<int64_t>;

template <typename T>
T scalar_at(AttrReader& reader, Descs inputs, size_t index, std::string_view type) {
  if (index < inputs.size() && !inputs[index].absent && inputs[index].kind != ValueKind::kTensor) {
    if (const T* value = std::get_if<T>(&inputs[index].scalar)) return *value;
  }
  reader.complain(fmt::format("input {} is {}, needs {}", index,
                              index < inputs.size() ? inputs[index].describe() : "missing", type));
  return T{};
}

int64_t int_at(AttrReader& reader, Descs inputs, size_t index) {
  return scalar_at<int64_t>(reader, inputs, index, "an int");
}

absl::StatusOr<std::vector<Desc>> give(const AttrReader& reader, Scalar scalar) {
  FXQ_RETURN_IF_ERROR(reader.status());
  return std::vector<Desc>{scalar_desc(std::move(scalar))};
}

int64_t attr_or_input(AttrReader& reader, Descs inputs, std::string_view name) {
  return inputs.size() > 1 ? int_at(reader, inputs, 1) : reader.integer(name);
}

absl::StatusOr<std::vector<Desc>> infer_size(const Step& step, Descs inputs) {
  AttrReader reader(step);
  if (!count_is(reader, inputs, 1, 2) || !is_tensor(reader, inputs, 0)) return reader.status();
  const int64_t dim = axis(reader, attr_or_input(reader, inputs, "dim"), inputs[0].rank(), "dim");
  FXQ_RETURN_IF_ERROR(reader.status());
  return give(reader, inputs[0].dims[dim]);
}

absl::StatusOr<std::vector<Desc>> infer_sizes(const Step& step, Descs inputs) {
  AttrReader reader(step);
  if (!count_is(reader, inputs, 1, 1) || !is_tensor(reader, inputs, 0)) return reader.status();
  return give(reader, inputs[0].dims);
}

absl::StatusOr<std::vector<Desc>> infer_get_item(const Step& step, Descs inputs) {
  AttrReader reader(step);
  if (!count_is(reader, inputs, 1, 2)) return reader.status();
  const Ints list = scalar_at<Ints>(reader, inputs, 0, "a list of ints");
  FXQ_RETURN_IF_ERROR(reader.status());
  const auto count = static_cast<int64_t>(list.size());
  const int64_t index = axis(reader, attr_or_input(reader, inputs, "index"), count, "index");
  FXQ_RETURN_IF_ERROR(reader.status());
  return give(reader, list[index]);
}

absl::StatusOr<std::vector<Desc>> infer_ints(const Step& step, Descs inputs) {
  AttrReader reader(step);
  Ints list;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Ints* part =
        inputs[i].kind == ValueKind::kInts ? std::get_if<Ints>(&inputs[i].scalar) : nullptr;
    if (part != nullptr) {
      list.insert(list.end(), part->begin(), part->end());
    } else {
      list.push_back(int_at(reader, inputs, i));
    }
  }
  return give(reader, std::move(list));
}

absl::StatusOr<std::vector<Desc>> infer_scalar(const Step& step, Descs inputs) {
  AttrReader reader(step);
  count_is(reader, inputs, 0, 0);
  const auto found = step.attrs.find("value");
  const Attr value = found == step.attrs.end() ? Attr{std::string()} : found->second;
  FXQ_RETURN_IF_ERROR(reader.status());
  if (const auto* number = std::get_if<int64_t>(&value)) return give(reader, *number);
  if (const auto* number = std::get_if<double>(&value)) return give(reader, *number);
  if (const auto* flag = std::get_if<bool>(&value)) return give(reader, *flag);
  if (const auto* list = std::get_if<Ints>(&value)) return give(reader, *list);
  reader.complain("attribute value must be an int, a float, a bool or a list of ints");
  return reader.status();
}

int64_t floor_divide(int64_t a, int64_t b) {
  const int64_t quotient = a / b;
  return a % b != 0 && (a < 0) != (b < 0) ? quotient - 1 : quotient;
}

// Nothing that a size needs comes near 64 bits: an overflow is a broken program.
int64_t calculate(AttrReader& reader, const std::string& op, int64_t a, int64_t b) {
  int64_t result = 0;
  bool overflow = false;
  if (op == "add") {
    overflow = __builtin_add_overflow(a, b, &result);
  } else if (op == "sub") {
    overflow = __builtin_sub_overflow(a, b, &result);
  } else if (op == "mul") {
    overflow = __builtin_mul_overflow(a, b, &result);
  } else if (op == "min" || op == "max") {
    result = op == "min" ? std::min(a, b) : std::max(a, b);
  } else if (op == "floordiv" || op == "remainder") {
    overflow = b == 0 || (b == -1 && a == INT64_MIN);
    if (!overflow) result = op == "floordiv" ? floor_divide(a, b) : a - floor_divide(a, b) * b;
  } else {
    reader.complain(fmt::format("op '{}' is unknown", op));
  }
  if (overflow) reader.complain(fmt::format("{} {} {} has no value", a, op, b));
  return result;
}

absl::StatusOr<std::vector<Desc>> infer_int_arithmetic(const Step& step, Descs inputs) {
  AttrReader reader(step);
  const std::string op = reader.text("op");
  const bool negation = op == "neg";
  if (!count_is(reader, inputs, negation ? 1 : 2, negation ? 1 : 2)) return reader.status();
  const int64_t a = int_at(reader, inputs, 0);
  if (negation) return give(reader, calculate(reader, "sub", 0, a));
  const int64_t b = int_at(reader, inputs, 1);
  return give(reader, calculate(reader, op, a, b));
}

absl::StatusOr<std::vector<Desc>> infer_compare(const Step& step, Descs inputs) {
  AttrReader reader(step);
  const std::string op = reader.text("op");
  if (!count_is(reader, inputs, 2, 2)) return reader.status();
  const int64_t a = int_at(reader, inputs, 0);
  const int64_t b = int_at(reader, inputs, 1);
  if (op == "eq") return give(reader, a == b);
  if (op == "ne") return give(reader, a != b);
  if (op == "lt") return give(reader, a < b);
  if (op == "le") return give(reader, a <= b);
  if (op == "gt") return give(reader, a > b);
  if (op == "ge") return give(reader, a >= b);
  reader.complain(fmt::format("op '{}' is unknown", op));
  return reader.status();
}

absl::StatusOr<std::vector<Desc>> infer_logic(const Step& step, Descs inputs) {
  AttrReader reader(step);
  const std::string op = reader.text("op");
  const size_t count = op == "not" ? 1 : 2;
  if (!count_is(reader, inputs, count, count)) return reader.status();
  const bool a = scalar_at<bool>(reader, inputs, 0, "a bool");
  if (op == "not") return give(reader, !a);
  const bool b = scalar_at<bool>(reader, inputs, 1, "a bool");
  if (op == "and") return give(reader, a && b);
  if (op == "or") return give(reader, a || b);
  reader.complain(fmt::format("op '{}' is unknown", op));
  return reader.status();
}

}  // namespace

Kernel kernel_Size() { return {infer_size}; }
Kernel kernel_Sizes() { return {infer_sizes}; }
Kernel kernel_GetItem() { return {infer_get_item}; }
Kernel kernel_Ints() { return {infer_ints}; }
Kernel kernel_Scalar() { return {infer_scalar}; }
Kernel kernel_IntArithmetic() { return {infer_int_arithmetic}; }
Kernel kernel_Compare() { return {infer_compare}; }
Kernel kernel_Logic() { return {infer_logic}; }

}  // namespace fxq
