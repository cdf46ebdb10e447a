// {"qconfig": {"": {"dtype": "qint8"}}} -> QConfigDict; every wrong key is named before it ends.
#include "fxq/cli/config_file.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "fxq/base/file.h"
#include "fxq/base/nearest.h"
#include "fxq/base/status.h"

namespace fxq {
namespace {

using nlohmann::json;

// Collects what is wrong with one JSON object.
class ObjectReader {
 public:
  ObjectReader(const json& object, std::string where, std::vector<std::string>& problems)
      : object_(object), where_(std::move(where)), problems_(problems) {}

  const json* find(const std::string& key) {
    known_.push_back(key);
    auto it = object_.find(key);
    return it == object_.end() ? nullptr : &*it;
  }
  std::optional<std::string> text(const std::string& key) {
    const json* value = find(key);
    if (!value) return std::nullopt;
    if (value->is_string()) return value->get<std::string>();
    problems_.push_back(fmt::format("{}{} is {}, needs a string", where_, key, value->dump()));
    return std::nullopt;
  }
  std::optional<int64_t> positive(const std::string& key) {
    const json* value = find(key);
    if (!value) return std::nullopt;
    if (value->is_number_integer() && value->get<int64_t>() > 0) return value->get<int64_t>();
    problems_.push_back(
        fmt::format("{}{} is {}, needs a positive integer", where_, key, value->dump()));
    return std::nullopt;
  }
  void refuse_others() {
    for (const auto& [key, value] : object_.items()) {
      if (std::find(known_.begin(), known_.end(), key) != known_.end()) continue;
      problems_.push_back(
          fmt::format("{}unknown key \"{}\"; {}", where_, key, did_you_mean(key, known_)));
    }
  }

 private:
  const json& object_;
  std::string where_;
  std::vector<std::string>& problems_;
  std::vector<std::string> known_;
};

absl::Status all_of(const std::string& source, const std::vector<std::string>& problems) {
  if (problems.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(fmt::format("{}:\n  {}", source, fmt::join(problems, "\n  ")));
}

// {"dtype": "qint8", "observer": "mse"} or null.
absl::StatusOr<std::optional<QConfig>> read_qconfig(const json& block, const std::string& where,
                                                    const std::string& observer,
                                                    std::vector<std::string>& problems) {
  if (block.is_null()) return std::optional<QConfig>();
  if (!block.is_object()) {
    problems.push_back(fmt::format("{}needs an object or null, got {}", where, block.dump()));
    return std::optional<QConfig>();
  }
  ObjectReader reader(block, where, problems);
  const std::string dtype = reader.text("dtype").value_or("qint8");
  const std::string own = reader.text("observer").value_or(observer);
  const std::string backend = reader.text("backend").value_or("");
  reader.refuse_others();
  QKwargs kwargs;
  if (!own.empty()) kwargs.emplace_back("observer", Argument(own));
  FXQ_ASSIGN_OR_RETURN(QConfig qconfig, get_default_calib_qconfig(dtype, kwargs, backend));
  return std::optional<QConfig>(std::move(qconfig));
}

absl::Status read_entries(const json* list, const std::string& key, const std::string& observer,
                          QConfigDict::Entries& entries, std::vector<std::string>& problems) {
  if (!list) return absl::OkStatus();
  const std::string where = "qconfig." + key + ": ";
  if (!list->is_array()) {
    problems.push_back(where + "needs a list of [name, qconfig]");
    return absl::OkStatus();
  }
  for (const json& entry : *list) {
    if (!entry.is_array() || entry.size() != 2 || !entry[0].is_string()) {
      problems.push_back(where + entry.dump() + " is no [name, qconfig]");
      continue;
    }
    FXQ_ASSIGN_OR_RETURN(std::optional<QConfig> qconfig,
                         read_qconfig(entry[1], where, observer, problems));
    entries.emplace_back(entry[0].get<std::string>(), std::move(qconfig));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<March> parse_march(const std::string& name) {
  std::string upper = name;
  for (char& c : upper) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  if (const auto march = march_from_name(upper)) return *march;
  return absl::InvalidArgumentError(fmt::format(
      "'{}' is no march; {}", name, did_you_mean(upper, {"CPU", "BAYES", "BERNOULLI2", "META"})));
}

absl::StatusOr<Config> read_config(const std::string& path) {
  FXQ_ASSIGN_OR_RETURN(const std::string text, read_file(path));
  json root;
  try {
    root = json::parse(text, nullptr, /*allow_exceptions=*/true, /*ignore_comments=*/true);
  } catch (const json::exception& error) {  // a syntax error, or a number out of range
    std::string reason = error.what();  // "[json.exception.parse_error.101] parse error at line 1"
    reason = reason.substr(std::min(reason.find("] ") + 2, reason.size()));
    return absl::InvalidArgumentError(fmt::format("{}: {}", path, reason));
  }
  if (!root.is_object()) {
    return absl::InvalidArgumentError(path + ": is no JSON object (comments are allowed)");
  }
  std::vector<std::string> problems;
  ObjectReader reader(root, "", problems);
  Config config;
  if (const auto march = reader.text("march")) {
    const auto parsed = parse_march(*march);
    if (parsed.ok()) config.march = *parsed;
    if (!parsed.ok()) problems.emplace_back(parsed.status().message());
  }
  config.observer = reader.text("observer");
  config.batch = reader.positive("batch");
  config.limit = reader.positive("limit");
  if (const json* block = reader.find("preprocess")) config.preprocess = block->dump();
  if (const json* block = reader.find("qconfig")) config.qconfig = block->dump();
  reader.refuse_others();
  FXQ_RETURN_IF_ERROR(all_of(path, problems));
  return config;
}

absl::StatusOr<QConfigDict> make_qconfig_dict(const std::string& block,
                                              const std::string& observer) {
  QConfigDict dict;
  std::vector<std::string> problems;
  const json root = block.empty() ? json::object() : json::parse(block, nullptr, false);
  if (!root.is_object()) return absl::InvalidArgumentError("qconfig: needs an object");
  ObjectReader reader(root, "qconfig: ", problems);
  const json* global = reader.find("");
  const json standard = json::object();
  FXQ_ASSIGN_OR_RETURN(dict.global, read_qconfig(global ? *global : standard,
                                                 "qconfig[\"\"]: ", observer, problems));
  FXQ_RETURN_IF_ERROR(read_entries(reader.find("module_type"), "module_type", observer,
                                   dict.module_type, problems));
  FXQ_RETURN_IF_ERROR(read_entries(reader.find("module_name"), "module_name", observer,
                                   dict.module_name, problems));
  reader.refuse_others();
  FXQ_RETURN_IF_ERROR(all_of("config", problems));
  return dict;
}

}  // namespace fxq
