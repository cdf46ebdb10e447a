// setting float_calls = "relu<TAB>layer1.relu<TAB>ReLU<TAB>layer1<TAB>Block" and so on, line by
// line: value, module called, its class, caller, its class.
#include "fxq/quant/float_calls.h"

#include <algorithm>

#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "fxq/graph/leaf_module.h"

namespace fxq {
namespace {

bool is_same(const Owner& a, const Owner& b) {
  return a.path == b.path && a.class_name == b.class_name;
}

bool is_same(const FloatCall& a, const FloatCall& b) {
  return is_same(a.module, b.module) && is_same(a.caller, b.caller);
}

// A module that is called is its own owner; what its code calls belongs to it.
FloatCall call_of(const GraphModule& gm, const Node& node) {
  const auto module = node.is(NodeKind::kCallModule) ? gm.module(node.target()) : nullptr;
  return {module ? Owner{node.target(), module->class_name()} : node.owner, node.owner};
}

std::map<std::string, FloatCall> stored_calls(const GraphModule& gm) {
  std::map<std::string, FloatCall> calls;
  const auto setting = gm.settings.find(kFloatCallsSetting);
  if (setting == gm.settings.end()) return calls;
  for (const auto line : absl::StrSplit(setting->second, '\n')) {
    const std::vector<std::string> cells = absl::StrSplit(line, '\t');
    if (cells.size() == 5) calls[cells[0]] = {{cells[1], cells[2]}, {cells[3], cells[4]}};
  }
  return calls;
}

// A function that became a module can be named by the module's path too.
FloatCall with_path(FloatCall call, const Node* node) {
  const bool was_function = is_same(call.module, call.caller);
  if (was_function && node && node->is(NodeKind::kCallModule)) call.module.path = node->target();
  return call;
}

}  // namespace

FloatCalls::FloatCalls(const GraphModule& gm) : calls_(stored_calls(gm)) {
  for (const Node* node : gm.graph().nodes()) {
    if (node->is_call()) calls_.emplace(node->name(), call_of(gm, *node));
  }
}

std::vector<const FloatCall*> FloatCalls::members(const Node& node) const {
  std::vector<const FloatCall*> result;
  for (const std::string& name : node.origins) {
    const auto call = calls_.find(name);
    if (call != calls_.end()) result.push_back(&call->second);
  }
  const auto own = calls_.find(node.name());
  if (result.empty() && own != calls_.end()) result.push_back(&own->second);
  return result;
}

std::set<std::string> FloatCalls::paths() const {
  std::set<std::string> result;
  for (const auto& [value, call] : calls_) {
    for (const Owner* owner : {&call.module, &call.caller}) {
      for (std::string path = owner->path; !path.empty() && result.insert(path).second;) {
        const size_t dot = path.rfind('.');
        path.resize(dot == std::string::npos ? 0 : dot);
      }
    }
  }
  return result;
}

void FloatCalls::store(GraphModule& fused) const {
  std::vector<std::string> lines;
  for (const auto& [name, recorded] : calls_) {
    const Node* node = fused.graph().find(name);
    const FloatCall call = with_path(recorded, node);
    if (node && is_same(call, call_of(fused, *node))) continue;
    lines.push_back(absl::StrJoin(
        {name, call.module.path, call.module.class_name, call.caller.path, call.caller.class_name},
        "\t"));
  }
  fused.settings.erase(kFloatCallsSetting);
  if (!lines.empty()) fused.settings[kFloatCallsSetting] = absl::StrJoin(lines, "\n");
}

}  // namespace fxq
