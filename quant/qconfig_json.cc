// {"": {"dtype": "qint8"}} <-> QConfigDict; every wrong key is named before reading ends.
#include "fxq/quant/qconfig_json.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "fxq/base/nearest.h"
#include "fxq/base/status.h"

namespace fxq {
namespace {

using json = nlohmann::ordered_json;
using Messages = std::vector<std::string>;

Argument to_argument(const json& value) {
  if (value.is_boolean()) return value.get<bool>();
  if (value.is_number_integer()) return value.get<int64_t>();
  if (value.is_number()) return value.get<double>();
  if (value.is_string()) return value.get<std::string>();
  if (value.is_object()) {
    DictArg dict;
    for (const auto& [key, item] : value.items()) dict.items.emplace_back(key, to_argument(item));
    return dict;
  }
  if (!value.is_array()) return {};
  std::vector<Argument> items;
  for (const json& item : value) items.push_back(to_argument(item));
  return Argument::list(std::move(items));
}

json to_json_value(const Argument& value) {
  if (const auto* flag = value.get_if<bool>()) return *flag;
  if (const auto* integer = value.get_if<int64_t>()) return *integer;
  if (const auto* real = value.get_if<double>()) return *real;
  if (const auto* text = value.get_if<std::string>()) return *text;
  if (const auto* dtype = value.get_if<DType>())
    return *dtype == DType::kF64 ? "float64" : "float32";
  if (const auto* dict = value.get_if<DictArg>()) {
    json object = json::object();
    for (const auto& [key, item] : dict->items)
      object[key.get<std::string>()] = to_json_value(item);
    return object;
  }
  return nullptr;
}

// -- reading

// One QCONFIG.
class BlockReader {
 public:
  BlockReader(const json& block, std::string where, const QConfigJsonOptions& options,
              Messages& problems)
      : block_(block), where_(std::move(where)), options_(options), problems_(problems) {}

  std::optional<QConfig> read() {
    if (block_.is_null()) return std::nullopt;
    if (!block_.is_object()) {
      problems_.push_back(fmt::format("{}needs an object or null, got {}", where_, block_.dump()));
      return std::nullopt;
    }
    const QatQConfigOptions arguments = read_arguments();
    const bool is_out = read_out();
    refuse_others();
    absl::StatusOr<QConfig> made = make(arguments);
    if (!made.ok()) {
      problems_.push_back(where_ + std::string(made.status().message()));
      return std::nullopt;
    }
    if (is_out) made->activation.reset();
    return *std::move(made);
  }

 private:
  const json* find(const std::string& key) {
    known_.push_back(key);
    const auto entry = block_.find(key);
    return entry == block_.end() ? nullptr : &*entry;
  }

  std::string text(const std::string& key, const std::string& standard) {
    const json* value = find(key);
    if (!value) return standard;
    if (value->is_string()) return value->get<std::string>();
    problems_.push_back(fmt::format("{}{} is {}, needs a string", where_, key, value->dump()));
    return standard;
  }

  QKwargs kwargs(const std::string& key) {
    QKwargs result;
    const json* value = find(key);
    if (!value) return result;
    if (!value->is_object()) {
      problems_.push_back(fmt::format("{}{} is {}, needs an object", where_, key, value->dump()));
      return result;
    }
    for (const auto& [name, item] : value->items()) result.emplace_back(name, to_argument(item));
    return result;
  }

  QatQConfigOptions read_arguments() {
    QatQConfigOptions arguments;
    arguments.dtype = text("dtype", arguments.dtype);
    arguments.weight_dtype = text("weight_dtype", arguments.weight_dtype);
    arguments.activation_fake_quant = text("activation_fake_quant", "fake_quant");
    arguments.weight_fake_quant = text("weight_fake_quant", "fake_quant");
    arguments.backend = text("backend", "");
    const std::string observer = text("observer", options_.observer);
    if (!observer.empty()) arguments.activation_qkwargs.emplace_back("observer", observer);
    for (auto& entry : kwargs("activation_qkwargs")) {
      arguments.activation_qkwargs.push_back(std::move(entry));
    }
    arguments.weight_qkwargs = kwargs("weight_qkwargs");
    return arguments;
  }

  bool read_out() {
    const json* activation = find("activation");
    if (activation && !activation->is_null()) {
      problems_.push_back(fmt::format(
          "{}activation is {}; it may only be null (floats come out), else use activation_qkwargs",
          where_, activation->dump()));
    }
    return activation != nullptr;
  }

  void refuse_others() {
    for (const auto& [key, value] : block_.items()) {
      if (std::find(known_.begin(), known_.end(), key) != known_.end()) continue;
      problems_.push_back(
          fmt::format("{}unknown key \"{}\"; {}", where_, key, did_you_mean(key, known_)));
    }
  }

  absl::StatusOr<QConfig> make(const QatQConfigOptions& arguments) const {
    FXQ_ASSIGN_OR_RETURN(QConfig qconfig, get_default_qat_qconfig(arguments));
    if (options_.qat) return qconfig;
    FXQ_ASSIGN_OR_RETURN(qconfig,
                         get_default_calib_qconfig(arguments.dtype, arguments.activation_qkwargs,
                                                   arguments.backend));
    FXQ_ASSIGN_OR_RETURN(qconfig.weight,
                         qconfig.weight->with_args({{"dtype", arguments.weight_dtype}}));
    FXQ_ASSIGN_OR_RETURN(qconfig.weight, qconfig.weight->with_args(arguments.weight_qkwargs));
    FXQ_RETURN_IF_ERROR(check_weight(*qconfig.weight));
    return qconfig;
  }

  const json& block_;
  std::string where_;
  const QConfigJsonOptions& options_;
  Messages& problems_;
  std::vector<std::string> known_;
};

struct ListKey {
  const char* name;
  QConfigDict::Entries QConfigDict::*entries;
};
constexpr ListKey kLists[] = {{"module_type", &QConfigDict::module_type},
                              {"module_name", &QConfigDict::module_name},
                              {"module_qconfig", &QConfigDict::module_qconfig},
                              {"any_member", &QConfigDict::any_member}};

void read_list(const json& list, const std::string& key, const QConfigJsonOptions& options,
               QConfigDict::Entries& entries, Messages& problems) {
  if (!list.is_array()) {
    problems.push_back(fmt::format("qconfig.{}: needs a list of [name, qconfig]", key));
    return;
  }
  for (const json& entry : list) {
    if (!entry.is_array() || entry.size() != 2 || !entry[0].is_string()) {
      problems.push_back(fmt::format("qconfig.{}: {} is no [name, qconfig]", key, entry.dump()));
      continue;
    }
    const auto name = entry[0].get<std::string>();
    const std::string where = fmt::format("qconfig.{}[\"{}\"]: ", key, name);
    entries.emplace_back(name, BlockReader(entry[1], where, options, problems).read());
  }
}

// -- writing

// What a reader would not take from its defaults, whichever these are.
json kwargs_json(const FakeQuantizeFactory& factory) {
  json object = json::object();
  const FakeQuantizeOptions& options = factory.options();
  object["observer"] = options.observer;
  object["calibration"] = options.calibration;
  const auto constant = options.observer_kwargs.averaging_constant;
  object["averaging_constant"] = constant ? json(*constant) : json(nullptr);
  for (const auto& [name, value] : options.to_kwargs()) object[name] = to_json_value(value);
  object.erase("dtype");
  return object;
}

std::string dtype_of(const FakeQuantizeFactory& factory) {
  return std::string(qdtype_name(factory.options().observer_kwargs.dtype));
}

json block_json(const std::optional<QConfig>& qconfig) {
  if (!qconfig) return nullptr;
  json block = json::object();
  if (qconfig->activation) {
    block["dtype"] = dtype_of(*qconfig->activation);
    block["activation_qkwargs"] = kwargs_json(*qconfig->activation);
  } else {
    block["activation"] = nullptr;
  }
  if (qconfig->weight) {
    block["weight_dtype"] = dtype_of(*qconfig->weight);
    block["weight_qkwargs"] = kwargs_json(*qconfig->weight);
  }
  if (!qconfig->backend.empty()) block["backend"] = qconfig->backend;
  return block;
}

}  // namespace

absl::StatusOr<QConfigDict> qconfig_dict_from_json(std::string_view text,
                                                   const QConfigJsonOptions& options) {
  const json root =
      json::parse(text, nullptr, /*allow_exceptions=*/false, /*ignore_comments=*/true);
  if (!root.is_object()) return absl::InvalidArgumentError("qconfig: needs a JSON object");
  Messages problems;
  QConfigDict dict;
  const json standard = json::object();
  const auto global = root.find("");
  dict.global =
      BlockReader(global == root.end() ? standard : *global, "qconfig[\"\"]: ", options, problems)
          .read();
  std::vector<std::string> known = {""};
  for (const ListKey& key : kLists) {
    known.emplace_back(key.name);
    const auto list = root.find(key.name);
    if (list != root.end()) read_list(*list, key.name, options, dict.*key.entries, problems);
  }
  for (const auto& [key, value] : root.items()) {
    if (std::find(known.begin(), known.end(), key) != known.end()) continue;
    problems.push_back(
        fmt::format("qconfig: unknown key \"{}\"; {}", key, did_you_mean(key, known)));
  }
  if (problems.empty()) return dict;
  return absl::InvalidArgumentError(fmt::format("{}", fmt::join(problems, "\n  ")));
}

std::string to_json(const QConfigDict& dict) {
  json root = json::object();
  root[""] = block_json(dict.global);
  for (const ListKey& key : kLists) {
    if ((dict.*key.entries).empty()) continue;
    root[key.name] = json::array();
    for (const auto& [name, qconfig] : dict.*key.entries) {
      root[key.name].push_back(json::array({name, block_json(qconfig)}));
    }
  }
  return root.dump(2) + "\n";
}

}  // namespace fxq
