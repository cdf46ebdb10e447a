// JSON with comments -> Config; every wrong key is named before it ends.
#include "fxq/cli/config_file.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "fxq/base/file.h"
#include "fxq/base/nearest.h"
#include "fxq/base/status.h"
#include "fxq/quant/qconfig_json.h"

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
  std::vector<std::string> texts(const std::string& key) {
    std::vector<std::string> result;
    const json* value = find(key);
    if (!value) return result;
    const bool good = value->is_array() && std::all_of(value->begin(), value->end(),
                                                       [](const json& e) { return e.is_string(); });
    if (good) return value->get<std::vector<std::string>>();
    problems_.push_back(
        fmt::format("{}{} is {}, needs a list of strings", where_, key, value->dump()));
    return result;
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
  if (const json* block = reader.find("hybrid")) {
    ObjectReader hybrid(*block, "hybrid: ", problems);
    if (!block->is_object()) problems.push_back("hybrid is " + block->dump() + ", needs an object");
    config.hybrid_dict = {hybrid.texts("module_type"), hybrid.texts("module_name")};
    if (block->is_object()) hybrid.refuse_others();
  }
  if (const json* block = reader.find("qat")) config.qat = block->dump();
  reader.refuse_others();
  FXQ_RETURN_IF_ERROR(all_of(path, problems));
  return config;
}

absl::StatusOr<QConfigDict> make_qconfig_dict(const std::string& block,
                                              const std::string& observer) {
  QConfigJsonOptions options;
  options.observer = observer;
  absl::StatusOr<QConfigDict> dict = qconfig_dict_from_json(block.empty() ? "{}" : block, options);
  if (dict.ok()) return dict;
  return all_of("config", {std::string(dict.status().message())});
}

}  // namespace fxq
