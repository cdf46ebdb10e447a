// traced -> observed -> converted, with march and float ops as text in the graph's settings.
#include "fxq/quant/stage.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "absl/strings/str_split.h"
#include "fxq/base/nearest.h"
#include "fxq/graph/leaf_module.h"
#include "fxq/quant/fake_quantize.h"
#include "fxq/quant/op_support.h"

namespace fxq {
namespace {

std::string setting(const GraphModule& gm, const char* key) {
  auto it = gm.settings.find(key);
  return it == gm.settings.end() ? "" : it->second;
}

std::string stage_text(const std::string& stage) {
  return stage.empty() ? "a float graph" : fmt::format("a graph of stage \"{}\"", stage);
}

bool is_fake_quant(const GraphModule& gm, const Node& node) {
  return node.is(NodeKind::kCallModule) &&
         std::dynamic_pointer_cast<FakeQuantize>(gm.module(node.target())) != nullptr;
}

// int16 if any value around the op is.
OpMode integer_mode(const GraphModule& gm, const Node& node) {
  auto is_wide = [&](const Node* value) {
    if (value->type.qparams) return value->type.dtype == DType::kI16;
    if (!value->is(NodeKind::kCallModule)) return false;
    const auto fq = std::dynamic_pointer_cast<FakeQuantize>(gm.module(value->target()));
    return fq && fq->dtype() == DType::kI16;
  };
  bool wide = is_wide(&node);
  for (const Node* input : node.inputs()) wide = wide || is_wide(input);
  return wide ? OpMode::kInt16 : OpMode::kInt8;
}

}  // namespace

absl::Status require_stage(const GraphModule& gm, const std::string& stage,
                           const std::string& function) {
  const std::string actual = setting(gm, kStageSetting);
  if (actual == stage) return absl::OkStatus();
  return absl::FailedPreconditionError(
      fmt::format("{} wants {} and got {}", function, stage_text(stage), stage_text(actual)));
}

absl::StatusOr<March> march_of(const GraphModule& gm) {
  const std::string name = setting(gm, kMarchSetting);
  if (const auto march = march_from_name(name)) return *march;
  return absl::InvalidArgumentError(
      fmt::format("the graph's march is \"{}\", which is none", name));
}

void store_float_ops(const QuantReport& report, GraphModule& gm) {
  std::string text;
  for (const OpStatus& op : report.ops) {
    if (op.mode != OpMode::kFloat) continue;
    if (!text.empty()) text += '\n';
    text += fmt::format("{}={}: {}", op.node, op.code, op.reason);
  }
  if (text.empty())
    gm.settings.erase(kFloatOpsSetting);
  else
    gm.settings[kFloatOpsSetting] = text;
}

std::map<std::string, std::pair<std::string, std::string>> float_ops(const GraphModule& gm) {
  std::map<std::string, std::pair<std::string, std::string>> result;
  const std::string text = setting(gm, kFloatOpsSetting);
  const std::vector<std::string> lines = absl::StrSplit(text, '\n');
  for (const std::string& line : lines) {
    const size_t equals = line.find('=');
    const size_t colon = line.find(": ", equals);
    if (equals == std::string::npos || colon == std::string::npos) continue;
    result[line.substr(0, equals)] = {line.substr(equals + 1, colon - equals - 1),
                                      line.substr(colon + 2)};
  }
  return result;
}

namespace {

bool names_path(std::string_view name, std::string_view path) {
  return path == name || (path.size() > name.size() && path.substr(0, name.size()) == name &&
                          path[name.size()] == '.');
}

}  // namespace

absl::Status preserve_attributes(const GraphModule& from, const std::vector<std::string>& names,
                                 GraphModule& to) {
  std::vector<std::string> known = from.module_paths();
  for (const std::string& path : from.tensor_paths()) known.push_back(path);
  for (const auto& [key, value] : from.settings) known.push_back(key);
  std::vector<std::string> problems;
  for (const std::string& name : names) {
    bool found = from.settings.count(name) != 0;
    if (found) to.settings.emplace(name, from.settings.at(name));
    for (const std::string& path : from.module_paths()) {
      if (!names_path(name, path)) continue;
      found = true;
      if (!to.module(path)) to.set_module(path, from.module(path)->clone_leaf());
    }
    for (const std::string& path : from.tensor_paths()) {
      if (!names_path(name, path)) continue;
      found = true;
      if (!to.tensor(path).defined()) to.set_tensor(path, from.tensor(path));
    }
    if (found) continue;
    problems.push_back(fmt::format("there is no '{}'; {}", name, did_you_mean(name, known)));
  }
  if (problems.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      fmt::format("preserved_attributes: {}", fmt::join(problems, "; ")));
}

QuantReport report_of(const GraphModule& gm) {
  QuantReport report;
  const auto floats = float_ops(gm);
  for (const Node* node : gm.graph().nodes()) {
    if (is_plumbing(*node) || node->op() == OpId::kGetItem || is_fake_quant(gm, *node)) continue;
    OpStatus status;
    status.node = node->name();
    status.op = node->op() == OpId::kNone ? node->target() : std::string(op_def(node->op()).name);
    status.module = module_of(*node);
    status.source = node->source;
    auto it = floats.find(node->name());
    if (it == floats.end()) {
      status.mode = integer_mode(gm, *node);
    } else {
      status.code = it->second.first;
      status.reason = it->second.second;
    }
    report.ops.push_back(std::move(status));
  }
  return report;
}

}  // namespace fxq
