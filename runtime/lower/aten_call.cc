// args (JSON, aten_arguments.h) -> a tree of parts -> IValues of the types that the schema wants.
#include "fxq/runtime/lower/aten_call.h"

#include <ATen/core/Dict.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/function_schema.h>
#include <fmt/format.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "fxq/base/status.h"
#include "fxq/graph/graph.h"
#include "fxq/graph/interpreter.h"
#include "fxq/graph/ivalue_convert.h"

namespace fxq {

using nlohmann::json;

class PartReader {
 public:
  using Part = AtenCall::Part;
  explicit PartReader(size_t inputs) : inputs_(inputs) {}

  absl::StatusOr<Part> read(const json& value, int depth = 0) const {
    if (depth > 32) return absl::InvalidArgumentError("arguments are nested too deeply");
    if (value.is_array()) return children(Part::Kind::kList, value, depth);
    if (value.is_object() && value.size() == 1) return read_object(value, depth);
    Part part;
    if (value.is_boolean()) {
      part.constant = value.get<bool>();
    } else if (value.is_number_integer()) {
      part.constant = value.get<int64_t>();
    } else if (value.is_number()) {
      part.constant = value.get<double>();
    } else if (value.is_string()) {
      part.constant = value.get<std::string>();
    } else if (!value.is_null()) {
      return absl::InvalidArgumentError(value.dump() + " is no argument");
    }
    return part;
  }

 private:
  absl::StatusOr<Part> children(Part::Kind kind, const json& items, int depth) const {
    Part part;
    part.kind = kind;
    for (const json& item : items) {
      FXQ_ASSIGN_OR_RETURN(Part child, read(item, depth + 1));
      part.children.push_back(std::move(child));
    }
    return part;
  }

  absl::StatusOr<Part> read_object(const json& value, int depth) const {
    const std::string key = value.begin().key();
    const json& content = value.begin().value();
    Part part;
    if (key == "input" && content.is_number_unsigned() && content.get<size_t>() < inputs_) {
      part.kind = Part::Kind::kInput;
      part.input = content.get<int>();
      return part;
    }
    if (key == "tuple" && content.is_array()) return children(Part::Kind::kTuple, content, depth);
    if (key == "dict" && content.is_array()) return children(Part::Kind::kDict, content, depth);
    if (key == "device" && content.is_string()) {
      part.constant = Device{content.get<std::string>()};
      return part;
    }
    if (key == "float" && content.is_string()) {
      const double inf = std::numeric_limits<double>::infinity();
      const auto text = content.get<std::string>();
      part.constant = text == "inf" ? inf : text == "-inf" ? -inf : std::nan("");
      return part;
    }
    return absl::InvalidArgumentError(value.dump() + " is no argument of a step with " +
                                      std::to_string(inputs_) + " inputs");
  }

  size_t inputs_;
};

namespace {

c10::TypePtr element_type(c10::TypePtr type) {
  while (type && type->kind() == c10::TypeKind::OptionalType) {
    type = type->expectRef<c10::OptionalType>().getElementType();
  }
  if (!type || type->kind() != c10::TypeKind::ListType) return nullptr;
  return type->expectRef<c10::ListType>().getElementType();
}

// Numbers that were read out of tensors arrive as 0-d tensors.
c10::IValue as_wanted(const c10::IValue& value, c10::TypePtr type) {
  while (type && type->kind() == c10::TypeKind::OptionalType) {
    type = type->expectRef<c10::OptionalType>().getElementType();
  }
  if (!type || !value.isTensor()) return value;
  switch (type->kind()) {
    case c10::TypeKind::BoolType:
      return value.toTensor().item().toBool();
    case c10::TypeKind::IntType:
      return value.toTensor().item().toLong();
    case c10::TypeKind::FloatType:
      return value.toTensor().item().toDouble();
    case c10::TypeKind::NumberType:
      return value.toTensor().item();
    case c10::TypeKind::VarType:  // torch.tensor([i, j])
      return value.toTensor().dim() == 0 ? c10::IValue(value.toTensor().item()) : value;
    default:
      return value;
  }
}

template <typename Part>
c10::IValue build(const Part& part, const c10::TypePtr& type,
                  const std::vector<c10::IValue>& inputs) {
  if (part.kind == Part::Kind::kInput) {
    return as_wanted(inputs[static_cast<size_t>(part.input)], type);
  }
  if (part.kind == Part::Kind::kConstant) return to_ivalue_as(part.constant, type);
  const c10::TypePtr element = element_type(type);
  std::vector<c10::IValue> items;
  for (const Part& child : part.children) items.push_back(build(child, element, inputs));
  if (part.kind == Part::Kind::kList) return make_list(items, element);
  if (part.kind == Part::Kind::kTuple) return c10::ivalue::Tuple::create(std::move(items));
  TORCH_CHECK(!items.empty(), "an empty dict argument");
  const auto entry = [](const c10::IValue& pair) { return pair.toListRef(); };
  c10::impl::GenericDict dict(entry(items[0])[0].type(), entry(items[0])[1].type());
  for (const c10::IValue& pair : items) dict.insert(entry(pair)[0], entry(pair)[1]);
  return dict;
}

void flatten(const c10::IValue& value, std::vector<c10::IValue>& flat) {
  if (value.isTuple()) {
    for (const c10::IValue& item : value.toTupleRef().elements()) flatten(item, flat);
  } else if (value.isTensorList()) {
    for (const c10::IValue& item : value.toListRef()) flatten(item, flat);
  } else {
    flat.push_back(value);
  }
}

template <typename Run>
absl::StatusOr<std::vector<c10::IValue>> guarded(const Run& run) {
  try {
    return run();
  } catch (const std::exception& error) {
    return absl::InvalidArgumentError(message_without_backtrace(error));
  }
}

absl::StatusOr<std::string> text_attr(const Step& step, const std::string& name) {
  auto it = step.attrs.find(name);
  const auto* text = it == step.attrs.end() ? nullptr : std::get_if<std::string>(&it->second);
  if (!text) return absl::InvalidArgumentError(fmt::format("attribute {} is missing", name));
  return *text;
}

}  // namespace

std::string message_without_backtrace(const std::exception& error) {
  const std::string message = error.what();
  return message.substr(0, message.find("\nException raised from"));
}

absl::StatusOr<AtenCall> AtenCall::parse(const Step& step) {
  AtenCall call;
  FXQ_ASSIGN_OR_RETURN(const std::string schema, text_attr(step, "schema"));
  FXQ_ASSIGN_OR_RETURN(const std::string args, text_attr(step, "args"));
  call.torchscript_ = schema == "fxq::torchscript";
  if (!call.torchscript_) {
    call.schema_ = find_callee(schema).schema;
    if (!call.schema_) return absl::NotFoundError("LibTorch has no operator " + schema);
  }
  const json parsed = json::parse(args, nullptr, /*allow_exceptions=*/false);
  if (!parsed.is_array()) return absl::InvalidArgumentError("attribute args is no list");
  const PartReader reader(step.inputs.size());
  for (const json& item : parsed) {
    FXQ_ASSIGN_OR_RETURN(Part part, reader.read(item));
    call.parts_.push_back(std::move(part));
  }
  return call;
}

absl::StatusOr<std::vector<c10::IValue>> AtenCall::arguments(const std::vector<c10::IValue>& inputs,
                                                             const c10::FunctionSchema& schema,
                                                             size_t skipped) const {
  return guarded([&] {
    std::vector<c10::IValue> arguments;
    for (size_t i = 0; i < parts_.size(); ++i) {
      const bool declared = i + skipped < schema.arguments().size();
      const c10::TypePtr type = declared ? schema.arguments()[i + skipped].type() : nullptr;
      arguments.push_back(build(parts_[i], type, inputs));
    }
    return arguments;
  });
}

bool AtenCall::reads_packed_sequence() const {
  return schema_ && schema_->argumentIndexWithName("batch_sizes").has_value();
}

absl::StatusOr<std::vector<c10::IValue>> AtenCall::run(
    const std::vector<c10::IValue>& inputs) const {
  FXQ_ASSIGN_OR_RETURN(std::vector<c10::IValue> stack, arguments(inputs, *schema_, 0));
  absl::Status status;
  auto results = guarded([&] {
    std::vector<c10::IValue> flat;
    auto result = call_schema(*schema_, std::move(stack));
    status = result.status();
    if (result.ok()) flatten(*result, flat);
    return flat;
  });
  FXQ_RETURN_IF_ERROR(status);
  return results;
}

absl::StatusOr<std::vector<c10::IValue>> AtenCall::run_method(
    const std::vector<c10::IValue>& inputs, const c10::FunctionSchema& schema,
    const Method& method) const {
  FXQ_ASSIGN_OR_RETURN(std::vector<c10::IValue> stack, arguments(inputs, schema, 1));
  return guarded([&] {
    std::vector<c10::IValue> flat;
    flatten(method(std::move(stack)), flat);
    return flat;
  });
}

}  // namespace fxq
