// Program <-> JSON, short keys, defaults left out:
//   {"inputs":[0], "values":[{"name":"x","dtype":"f32","rank":4}, {"name":"n","kind":"int"}, ...],
//    "steps":[{"kernel":"quantize","name":"quant","in":[0],"out":[1],"attrs":{"scale":0.1}}, ...],
//    "guards":[{"if":7,"message":"..."}], "output":{"dict":{"out":5}},
//    "shared":{"conv.weight":"module/conv.weight"}}       constants that the artifact has already
// Attributes keep their types: a float that happens to be whole is written 1.0, never 1.
#include <cmath>
#include <cstring>
#include <map>

#include "fmt/format.h"
#include "fxq/base/status.h"
#include "fxq/runtime/program.h"
#include "nlohmann/json.hpp"

namespace fxq {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kKey = "program";
constexpr std::string_view kTensorPrefix = "program/";
constexpr int kMaxDepth = 64;  // of the output structure; it is walked recursively
constexpr std::string_view kKindNames[] = {"tensor", "int", "float", "bool", "ints"};

Json value_json(const Value& value) {
  Json json{{"name", value.name}};
  if (value.kind == ValueKind::kTensor) {
    json["dtype"] = dtype_name(value.dtype);
  } else {
    json["kind"] = kKindNames[static_cast<size_t>(value.kind)];
  }
  if (value.rank) json["rank"] = *value.rank;
  if (value.qparams) {
    json["scale"] = value.qparams->scale;
    json["zero_point"] = value.qparams->zero_point;
  }
  if (!value.constant.empty()) json["constant"] = value.constant;
  return json;
}

Json attr_json(const Attr& attr) {
  // An empty list would lose its type, so lists of floats carry theirs.
  if (const auto* floats = std::get_if<std::vector<double>>(&attr))
    return Json{{"floats", *floats}};
  // JSON has no infinities.
  const auto* number = std::get_if<double>(&attr);
  if (number != nullptr && !std::isfinite(*number))
    return Json{{"float", fmt::format("{}", *number)}};
  return std::visit([](const auto& value) { return Json(value); }, attr);
}

Json step_json(const Step& step) {
  Json json{{"kernel", step.kernel}};
  if (step.version != 1) json["version"] = step.version;
  json["name"] = step.name;
  json["in"] = step.inputs;
  json["out"] = step.outputs;
  for (const auto& [name, attr] : step.attrs) json["attrs"][name] = attr_json(attr);
  if (!step.computed.empty()) json["computed"] = step.computed;
  return json;
}

Json tree_json(const OutputTree& tree) {
  Json children = Json::array();
  for (const OutputTree& child : tree.children) children.push_back(tree_json(child));
  switch (tree.kind) {
    case OutputTree::Kind::kValue:
      return tree.value;
    case OutputTree::Kind::kNone:
      return nullptr;
    case OutputTree::Kind::kTuple:
      return Json{{"tuple", children}};
    case OutputTree::Kind::kList:
      return Json{{"list", children}};
    case OutputTree::Kind::kDict:
      break;
  }
  return Json{{"dict", children}, {"keys", tree.keys}};
}

// Reads with at() and get<>(), whose exceptions from_artifact turns into one Status.
Value read_value(const Json& json) {
  Value value;
  value.name = json.at("name").get<std::string>();
  if (json.contains("kind")) {
    const auto name = json["kind"].get<std::string>();
    size_t kind = 0;
    while (kind < std::size(kKindNames) && kKindNames[kind] != name) ++kind;
    if (kind == std::size(kKindNames)) throw std::invalid_argument("unknown kind " + name);
    value.kind = static_cast<ValueKind>(kind);
  } else {
    const auto name = json.at("dtype").get<std::string>();
    const auto dtype = dtype_from_name(name);
    if (!dtype) throw std::invalid_argument("unknown dtype " + name);
    value.dtype = *dtype;
  }
  if (json.contains("rank")) value.rank = json["rank"].get<int>();
  if (json.contains("scale")) {
    value.qparams = QParams{json["scale"].get<float>(), json.at("zero_point").get<int>()};
  }
  if (json.contains("constant")) value.constant = json["constant"].get<std::string>();
  return value;
}

Attr read_attr(const Json& json) {
  if (json.is_boolean()) return json.get<bool>();
  if (json.is_number_integer()) return json.get<int64_t>();
  if (json.is_number()) return json.get<double>();
  if (json.is_string()) return json.get<std::string>();
  if (json.is_array()) return json.get<std::vector<int64_t>>();
  if (json.contains("float")) return std::stod(json["float"].get<std::string>());
  return json.at("floats").get<std::vector<double>>();
}

Step read_step(const Json& json) {
  Step step;
  step.kernel = json.at("kernel").get<std::string>();
  step.version = json.value("version", 1);
  step.name = json.at("name").get<std::string>();
  step.inputs = json.at("in").get<std::vector<ValueId>>();
  step.outputs = json.at("out").get<std::vector<ValueId>>();
  if (json.contains("attrs")) {
    for (const auto& [name, attr] : json["attrs"].items()) step.attrs[name] = read_attr(attr);
  }
  if (json.contains("computed")) {
    step.computed = json["computed"].get<std::map<std::string, ValueId>>();
  }
  return step;
}

OutputTree read_tree(const Json& json, int depth) {
  if (depth > kMaxDepth) throw std::invalid_argument("the output is nested too deeply");
  OutputTree tree;
  if (json.is_null()) {
    tree.kind = OutputTree::Kind::kNone;
    return tree;
  }
  if (!json.is_object()) {
    tree.value = json.get<ValueId>();
    return tree;
  }
  const bool dict = json.contains("dict");
  const bool tuple = json.contains("tuple");
  tree.kind = dict    ? OutputTree::Kind::kDict
              : tuple ? OutputTree::Kind::kTuple
                      : OutputTree::Kind::kList;
  for (const Json& child : json.at(dict ? "dict" : tuple ? "tuple" : "list")) {
    tree.children.push_back(read_tree(child, depth + 1));
  }
  if (dict) tree.keys = json.at("keys").get<std::vector<std::string>>();
  return tree;
}

Program read_program(const Json& json) {
  Program program;
  program.inputs = json.at("inputs").get<std::vector<ValueId>>();
  for (const Json& value : json.at("values")) program.values.push_back(read_value(value));
  for (const Json& step : json.at("steps")) program.steps.push_back(read_step(step));
  if (json.contains("guards")) {
    for (const Json& guard : json["guards"]) {
      program.guards.push_back(
          {guard.at("if").get<ValueId>(), guard.at("message").get<std::string>()});
    }
  }
  program.output = read_tree(json.at("output"), 0);
  return program;
}

bool same_tensor(const HostTensor& a, const HostTensor& b) {
  return a.dtype() == b.dtype() && a.dims() == b.dims() &&
         (a.byte_size() == 0 || std::memcmp(a.bytes(), b.bytes(), a.byte_size()) == 0);
}

// Constants that another layer has stored are not stored twice.
class StoredTensors {
 public:
  explicit StoredTensors(const Artifact& artifact) {
    for (const auto& [name, tensor] : artifact.tensors) {
      if (tensor.byte_size() >= kWorthSharing) by_size_.emplace(tensor.byte_size(), &name);
    }
  }
  const std::string* find(const Artifact& artifact, const HostTensor& tensor) const {
    const auto [begin, end] = by_size_.equal_range(tensor.byte_size());
    for (auto it = begin; it != end; ++it) {
      if (same_tensor(artifact.tensors.at(*it->second), tensor)) return it->second;
    }
    return nullptr;
  }

 private:
  static constexpr size_t kWorthSharing = 256;
  std::multimap<size_t, const std::string*> by_size_;
};

absl::Status add_shared(const Json& json, const Artifact& artifact, Program& program) {
  for (const auto& [name, stored] : json.items()) {
    const auto tensor = artifact.tensors.find(stored.get<std::string>());
    if (tensor == artifact.tensors.end()) {
      return absl::InvalidArgumentError(fmt::format(
          "the program's constant \"{}\" should be tensor \"{}\", which is not in the file", name,
          stored.get<std::string>()));
    }
    program.constants.emplace(name, tensor->second);
  }
  return absl::OkStatus();
}

}  // namespace

void Program::to_artifact(Artifact& artifact) const {
  Json json{{"inputs", inputs}, {"values", Json::array()}, {"steps", Json::array()}};
  for (const Value& value : values) json["values"].push_back(value_json(value));
  for (const Step& step : steps) json["steps"].push_back(step_json(step));
  for (const Guard& guard : guards) {
    json["guards"].push_back({{"if", guard.condition}, {"message", guard.message}});
  }
  json["output"] = tree_json(output);
  const StoredTensors stored(artifact);
  for (const auto& [name, tensor] : constants) {
    if (const std::string* known = stored.find(artifact, tensor)) {
      json["shared"][name] = *known;
    } else {
      artifact.tensors[std::string(kTensorPrefix) + name] = tensor;
    }
  }
  // Names that are not UTF-8 stay as they are and are refused when the artifact is written.
  artifact.metadata[std::string(kKey)] = json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

absl::StatusOr<Program> Program::from_artifact(const Artifact& artifact) {
  const auto text = artifact.metadata.find(std::string(kKey));
  if (text == artifact.metadata.end()) {
    return absl::InvalidArgumentError(
        "there is no program in this file: it was saved before it was converted and lowered");
  }
  Program program;
  try {
    const Json json = Json::parse(text->second);
    program = read_program(json);
    if (json.contains("shared")) {
      FXQ_RETURN_IF_ERROR(add_shared(json["shared"], artifact, program));
    }
  } catch (const std::exception& error) {
    return absl::InvalidArgumentError(fmt::format("the program cannot be read: {}", error.what()));
  }
  for (const auto& [name, tensor] : artifact.tensors) {
    if (name.compare(0, kTensorPrefix.size(), kTensorPrefix) == 0) {
      program.constants.emplace(name.substr(kTensorPrefix.size()), tensor);
    }
  }
  FXQ_RETURN_IF_ERROR(program.verify());
  return program;
}

}  // namespace fxq
