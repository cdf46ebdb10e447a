// float:  op -> "<node>"
// int8:   op -> "<node>_float" -> QuantizeLinear -> "<node>_q" -> DequantizeLinear -> "<node>"
#include "fxq/export/exporter.h"

#include <ATen/core/Tensor.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "fxq/base/status.h"
#include "fxq/export/integer_weights_form.h"
#include "fxq/export/opset_forms.h"
#include "fxq/export/ort_profile.h"
#include "fxq/export/prepared_form.h"
#include "fxq/graph/naming.h"
#include "fxq/graph/tensor_convert.h"

namespace fxq {

DType element_type(const Type& type) {
  return type.qparams ? DType::kF32 : type.dtype.value_or(DType::kF32);
}

bool in_training(const Exporter& exporter, const OpView& view) {
  for (const char* name : kModeArguments) {
    const Argument flag = view.attr(name);
    if (!view.node()->follows_mode && flag.is<bool>()) return flag.get<bool>();
  }
  return exporter.graph_module().is_training();
}

absl::StatusOr<std::string> Exporter::tensor(const Node* node) {
  auto it = values_.find(node);
  if (it == values_.end())
    return absl::InternalError(fmt::format("%{} has no value", node->name()));
  if (it->second.kind == OnnxValue::Kind::kTensor) return it->second.name;
  if (it->second.is_ints()) return int_tensor(it->second);
  if (it->second.kind == OnnxValue::Kind::kBool) return bool_tensor(it->second);
  if (it->second.kind == OnnxValue::Kind::kFloat) return it->second.name;
  return absl::UnimplementedError(
      fmt::format("%{} is {}, needs to be one tensor", node->name(), node->type.to_string()));
}

absl::StatusOr<std::string> Exporter::operand(const OpView& view, size_t i) {
  if (!view.operand(i)) {
    return absl::UnimplementedError(fmt::format("its tensor operand {} is a constant", i));
  }
  return tensor(view.operand(i));
}

absl::StatusOr<std::string> Exporter::initializer(const std::string& path,
                                                  const at::Tensor& tensor) {
  const at::Tensor plain = tensor.detach();
  FXQ_ASSIGN_OR_RETURN(const HostTensor host, to_host_tensor(plain));
  const auto key = std::make_pair(static_cast<const void*>(plain.data_ptr()),
                                  host.describe() + fmt::format("{}", plain.strides().vec()));
  auto [it, is_new] = made_->initializers.emplace(key, "");
  if (is_new) it->second = *made_->parameters.insert(builder_.initializer(path, host)).first;
  return it->second;
}

absl::StatusOr<std::string> Exporter::derived(const std::string& path, const at::Tensor& tensor) {
  FXQ_ASSIGN_OR_RETURN(const HostTensor host, to_host_tensor(tensor.detach()));
  return *made_->parameters.insert(builder_.initializer(path, host)).first;
}

absl::StatusOr<std::string> Exporter::param(const OpView& view, std::string_view name) {
  if (Node* computed = view.param_node(name)) return tensor(computed);
  const at::Tensor value = view.param(name);
  if (!value.defined()) return std::string();
  if (name == view.def().weight && has_fake_quantized_weight(gm_, *view.node())) {
    return fake_quantized_weight(*this, view);
  }
  if (has_integer_weights(gm_, *view.node())) return integer_weights_form(*this, view, name);
  return initializer(fmt::format("{}.{}", view.node()->target(), name), value);
}

absl::StatusOr<OnnxValue> Exporter::ints(const Argument& argument) {
  if (const Node* node = argument.node()) {
    const OnnxValue& known = value(node);
    if (known.is_ints()) return known;
    return absl::UnimplementedError(
        fmt::format("%{} is {}, needs to be a size", node->name(), node->type.to_string()));
  }
  if (const auto* integer = argument.get_if<int64_t>()) return OnnxValue::integer(*integer);
  if (const auto* flag = argument.get_if<bool>()) return OnnxValue::integer(*flag ? 1 : 0);
  const std::vector<Argument>* items = argument.items();
  if (!items) return absl::UnimplementedError(argument.to_string() + " is no size");
  std::vector<OnnxValue> parts;
  std::vector<int64_t> constants;
  for (const Argument& item : *items) {
    FXQ_ASSIGN_OR_RETURN(OnnxValue part, ints(item));
    if (part.is_constant()) constants.push_back(part.constant.at(0));
    parts.push_back(std::move(part));
  }
  if (constants.size() == parts.size()) return OnnxValue::integers(std::move(constants));
  std::vector<std::string> names;
  for (const OnnxValue& part : parts) names.push_back(int_list(part));
  OnnxValue result;
  result.kind = OnnxValue::Kind::kInts;
  result.name = builder_.add("Concat", std::move(names), {{"axis", int64_t{0}}});
  return result;
}

absl::StatusOr<OnnxValue> Exporter::value_of(const Argument& argument) {
  if (const Node* node = argument.node()) return value(node);
  if (argument.is_none()) return OnnxValue();
  if (const auto* flag = argument.get_if<bool>()) return OnnxValue::boolean(*flag);
  if (const auto* real = argument.get_if<double>()) {
    return OnnxValue::named(OnnxValue::Kind::kFloat, builder_.scalar(DType::kF64, *real));
  }
  const std::vector<Argument>* items = argument.items();
  const bool numbers = argument.is<ListArg>() && !items->empty() && items->front().is<int64_t>();
  if (!items || numbers) return ints(argument);
  std::vector<OnnxValue> children;
  for (const Argument& item : *items) {
    FXQ_ASSIGN_OR_RETURN(OnnxValue child, value_of(item));
    children.push_back(std::move(child));
  }
  return OnnxValue::list(std::move(children));
}

std::string Exporter::bool_tensor(const OnnxValue& value) {
  return value.is_constant() ? builder_.scalar(DType::kBool, static_cast<double>(value.constant[0]))
                             : value.name;
}

std::string Exporter::int_tensor(const OnnxValue& value) {
  if (!value.is_constant()) return value.name;
  return value.kind == OnnxValue::Kind::kInt ? builder_.int_scalar(value.constant[0])
                                             : builder_.ints(value.constant);
}

std::string Exporter::int_list(const OnnxValue& value) {
  if (value.is_constant()) return builder_.ints(value.constant);
  if (value.kind == OnnxValue::Kind::kInts) return value.name;
  return add_unsqueeze(builder_, value.name, {0});
}

absl::StatusOr<std::string> Exporter::quantize_domain(DType dtype) {
  if (dtype != DType::kI16 || opset() >= kInt16Opset) return std::string();
  if (!options_.int16_domain) {
    made_->warnings.insert(fmt::format(
        "16-bit integers: QuantizeLinear has them from opset {} on, so they went out in ONNX "
        "Runtime's domain {}; other runtimes may refuse it (int16_domain chooses)",
        kInt16Opset, kMicrosoftDomain));
    return std::string(kMicrosoftDomain);
  }
  if (!options_.int16_domain->empty()) return *options_.int16_domain;
  return absl::UnimplementedError(
      fmt::format("it holds int16, which QuantizeLinear and DequantizeLinear have from opset {} on;"
                  " keep it int8, or leave int16_domain open (\"{}\" is ONNX Runtime's)",
                  kInt16Opset, kMicrosoftDomain));
}

absl::StatusOr<OnnxIntegers> Exporter::storage(const Type& type) {
  OnnxIntegers result;
  result.dtype = type.dtype.value_or(DType::kI8);
  FXQ_RETURN_IF_ERROR(quantize_domain(result.dtype).status());
  int offset = type.qparams->zero_point;
  if (result.dtype == DType::kI8) {  // the same values; runtimes multiply unsigned by signed
    result.dtype = DType::kU8;
    offset += 128;
  }
  result.scale = builder_.scalar(DType::kF32, type.qparams->scale);
  result.zero_point = builder_.scalar(result.dtype, offset);
  return result;
}

absl::StatusOr<std::string> Exporter::quantize(const std::string& value, const Type& type,
                                               const std::string& name) {
  FXQ_ASSIGN_OR_RETURN(OnnxIntegers made, storage(type));
  FXQ_ASSIGN_OR_RETURN(const std::string domain, quantize_domain(made.dtype));
  made.value =
      builder_.add_many({"QuantizeLinear", {value, made.scale, made.zero_point}, {}, domain}, 1)[0];
  return adopt(std::move(made), name);
}

absl::StatusOr<std::string> Exporter::adopt(OnnxIntegers integers, const std::string& name) {
  FXQ_ASSIGN_OR_RETURN(const std::string domain, quantize_domain(integers.dtype));
  const std::string named = builder_.unique(name + "_q");
  if (builder_.rename(integers.value, named)) integers.value = named;
  const std::string floats = builder_.add_many(
      {"DequantizeLinear", {integers.value, integers.scale, integers.zero_point}, {}, domain},
      1)[0];
  builder_.rename(floats, name);
  made_->integers[name] = std::move(integers);
  return name;
}

const OnnxIntegers* Exporter::integers(const std::string& floats) const {
  const auto found = made_->integers.find(floats);
  return found == made_->integers.end() ? nullptr : &found->second;
}

absl::StatusOr<std::string> Exporter::dequantize(const std::string& integers, const Type& type,
                                                 const std::string& name) {
  const DType dtype = type.dtype.value_or(DType::kI8);
  FXQ_ASSIGN_OR_RETURN(const std::string domain, quantize_domain(dtype));
  const std::string scale = builder_.scalar(DType::kF32, type.qparams->scale);
  const std::string zero_point = builder_.scalar(dtype, type.qparams->zero_point);
  const std::string floats =
      builder_.add_many({"DequantizeLinear", {integers, scale, zero_point}, {}, domain}, 1)[0];
  builder_.rename(floats, name);
  return name;
}

// From 254.5 steps on, QuantizeLinear gives 255 for 6 and all that is above: a Relu before it then
// says the same as a Clip, and runtimes fold it into the convolution.
std::string Exporter::relu6(const Type& type, const std::string& value) {
  const bool saturates = type.dtype == DType::kU8 && type.qparams &&
                         type.qparams->zero_point == 0 && 6.0F / type.qparams->scale > 254.5F;
  if (saturates) return builder_.add("Relu", {value});
  return add_clip(builder_, value, DType::kF32, 0.0, 6.0);
}

absl::StatusOr<std::string> Exporter::epilogue(const Node& node, std::string value) {
  if (const Node* other = node.epilogue_add()) {
    const std::optional<Type> summand = summand_type(node, options_);
    if (summand && !integers(value)) {
      const std::string name = builder_.unique(node.name() + "_summand");
      FXQ_ASSIGN_OR_RETURN(value, quantize(value, *summand, name));
    }
    FXQ_ASSIGN_OR_RETURN(const std::string addend, tensor(other));
    value = builder_.add("Add", {value, addend});
  }
  switch (node.epilogue_activation()) {
    case OpId::kNone:
      return value;
    case OpId::kRelu:
      return builder_.add("Relu", {value});
    case OpId::kRelu6:
      return relu6(node.type, value);
    default:
      break;
  }
  return absl::UnimplementedError(
      fmt::format("its epilogue {} has no ONNX form", op_def(node.epilogue_activation()).name));
}

absl::Status Exporter::finish(const OpView& view, std::string value) {
  const Node& node = *view.node();
  FXQ_ASSIGN_OR_RETURN(value, epilogue(node, std::move(value)));
  if (node.type.is_quantized()) {
    const std::string raw = builder_.unique(node.name() + "_float");
    if (builder_.rename(value, raw)) value = raw;
    FXQ_ASSIGN_OR_RETURN(value, quantize(value, node.type, node.name()));
  } else if (builder_.rename(value, node.name())) {
    value = node.name();
  }
  set(&node, OnnxValue::tensor(std::move(value)));
  return absl::OkStatus();
}

}  // namespace fxq
