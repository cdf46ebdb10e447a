// aten::pad(%x, [1, 1], "constant", 0.) -> [{"input": 0}, [1, 1], "constant", 0.0]
#include "fxq/runtime/lower/aten_arguments.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "fxq/base/status.h"
#include "fxq/graph/tensor_convert.h"

namespace fxq {
namespace {

using nlohmann::json;

absl::StatusOr<json> encode(const Argument& argument, const InputIndex& input);

absl::StatusOr<json> encode_all(const std::vector<Argument>& items, const InputIndex& input) {
  json array = json::array();
  for (const Argument& item : items) {
    FXQ_ASSIGN_OR_RETURN(json encoded, encode(item, input));
    array.push_back(std::move(encoded));
  }
  return array;
}

absl::StatusOr<json> encode_dict(const DictArg& dict, const InputIndex& input) {
  json entries = json::array();
  for (const auto& [key, value] : dict.items) {
    FXQ_ASSIGN_OR_RETURN(json encoded_key, encode(key, input));
    FXQ_ASSIGN_OR_RETURN(json encoded_value, encode(value, input));
    entries.push_back(json::array({std::move(encoded_key), std::move(encoded_value)}));
  }
  return json{{"dict", std::move(entries)}};
}

json encode_float(double value) {
  if (std::isfinite(value)) return value;
  return json{{"float", std::isnan(value) ? "nan" : value > 0 ? "inf" : "-inf"}};
}

absl::StatusOr<json> encode(const Argument& argument, const InputIndex& input) {
  if (argument.is_none()) return json(nullptr);
  if (const Node* node = argument.node()) {
    FXQ_ASSIGN_OR_RETURN(const int index, input(node));
    return json{{"input", index}};
  }
  if (const auto* flag = argument.get_if<bool>()) return json(*flag);
  if (const auto* integer = argument.get_if<int64_t>()) return json(*integer);
  if (const auto* real = argument.get_if<double>()) return encode_float(*real);
  if (const auto* text = argument.get_if<std::string>()) return json(*text);
  if (const auto* dtype = argument.get_if<DType>()) return json(scalar_type_number(*dtype));
  if (const auto* device = argument.get_if<Device>()) return json{{"device", device->name}};
  if (const auto* dict = argument.get_if<DictArg>()) return encode_dict(*dict, input);
  if (const auto* list = argument.get_if<ListArg>()) return encode_all(list->items, input);
  if (const auto* tuple = argument.get_if<TupleArg>()) {
    FXQ_ASSIGN_OR_RETURN(json items, encode_all(tuple->items, input));
    return json{{"tuple", std::move(items)}};
  }
  return absl::UnimplementedError("a slice is no operator argument");
}

}  // namespace

absl::StatusOr<std::string> encode_arguments(const std::vector<Argument>& arguments,
                                             const InputIndex& input) {
  FXQ_ASSIGN_OR_RETURN(const json array, encode_all(arguments, input));
  return array.dump();
}

}  // namespace fxq
