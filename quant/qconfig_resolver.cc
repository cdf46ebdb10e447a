// For one call: module.qconfig, then module_name (longest path), then module_type from the call
// outwards, then global.
#include "fxq/quant/qconfig_resolver.h"

#include <fmt/format.h>
#include <torch/csrc/jit/api/module.h>

#include <algorithm>
#include <map>
#include <set>

#include "fxq/base/nearest.h"
#include "fxq/graph/opaque_module.h"
#include "fxq/graph/problems.h"
#include "fxq/tracer/wrap.h"

namespace fxq {
namespace {

// A module inside one that is kept whole (wrapped, or a leaf of the user's).
struct InnerModule {
  std::string class_name, inside;
};

// By path. They have names, though no node of the graph calls them.
std::map<std::string, InnerModule> inner_modules(const GraphModule& gm) {
  std::map<std::string, InnerModule> result;
  for (const std::string& path : gm.module_paths()) {
    const auto whole = std::dynamic_pointer_cast<OpaqueModule>(gm.module(path));
    if (!whole) continue;
    for (const auto& entry : whole->script_module().named_modules()) {
      if (entry.name.empty() || !entry.value.type()->name()) continue;
      const std::string type = python_name(entry.value.type()->name()->qualifiedName());
      result[path + "." + entry.name] = {type, path};
    }
  }
  return result;
}

using Kind = QConfigRule::Kind;
using Entry = QConfigDict::Entries::value_type;

// "a.b" covers "a.b" and "a.b.c", never "a.bc".
bool covers(std::string_view ancestor, std::string_view path) {
  if (path.substr(0, ancestor.size()) != ancestor) return false;
  return path.size() == ancestor.size() || ancestor.empty() || path[ancestor.size()] == '.';
}

// "torch.nn.modules.conv.Conv2d" is "Conv2d", "conv.Conv2d" and, as Python imports it,
// "torch.nn.Conv2d".
bool same_class(std::string_view full, std::string_view wanted) {
  if (full == wanted) return true;
  constexpr std::string_view kNn = "torch.nn.";
  if (full.substr(0, kNn.size()) == kNn && wanted.substr(0, kNn.size()) == kNn) {
    wanted.remove_prefix(kNn.size());
  }
  return full.size() > wanted.size() && full.substr(full.size() - wanted.size()) == wanted &&
         full[full.size() - wanted.size() - 1] == '.';
}

// The last of the longest matching paths.
const Entry* by_path(const QConfigDict::Entries& entries, std::string_view path) {
  const Entry* best = nullptr;
  for (const Entry& entry : entries) {
    if (!covers(entry.first, path) || (best && entry.first.size() < best->first.size())) continue;
    best = &entry;
  }
  return best;
}

// The last entry of the class.
const Entry* by_class(const QConfigDict::Entries& entries, std::string_view class_name) {
  const auto entry = std::find_if(entries.rbegin(), entries.rend(), [&](const Entry& named) {
    return !class_name.empty() && same_class(class_name, named.first);
  });
  return entry == entries.rend() ? nullptr : &*entry;
}

std::string_view parent(std::string_view path) {
  const size_t dot = path.rfind('.');
  return dot == std::string_view::npos ? std::string_view() : path.substr(0, dot);
}

int depth(std::string_view path) {
  if (path.empty()) return 0;
  return 1 + static_cast<int>(std::count(path.begin(), path.end(), '.'));
}

QConfigRule make_rule(Kind kind, const Entry& entry, const FloatCall& call, int distance) {
  return {kind, entry.first, call.module.path, distance, entry.second ? &*entry.second : nullptr};
}

bool same(const QConfig* a, const QConfig* b) { return a == b || (a && b && *a == *b); }

// "torch.nn.modules.conv.Conv2d" -> "Conv2d"
std::vector<std::string> short_names(const std::set<std::string>& classes) {
  std::set<std::string> names;
  for (const std::string& name : classes) {
    if (!name.empty()) names.insert(name.substr(name.rfind('.') + 1));
  }
  return {names.begin(), names.end()};
}

bool has_class(const std::set<std::string>& classes, const std::string& name) {
  return std::any_of(classes.begin(), classes.end(),
                     [&](const std::string& known) { return same_class(known, name); });
}

std::string no_module(const std::string& name, const std::set<std::string>& paths) {
  return fmt::format("qconfig: there is no module '{}'; {}", name,
                     did_you_mean(name, std::vector<std::string>(paths.begin(), paths.end())));
}

std::string no_class(const std::string& name, const std::set<std::string>& classes) {
  return fmt::format("qconfig: there is no module of class '{}'; {}", name,
                     did_you_mean(name, short_names(classes)));
}

}  // namespace

bool QConfigRule::is_closer_than(const QConfigRule& other) const {
  return kind != other.kind ? kind > other.kind : distance < other.distance;
}

std::string QConfigRule::to_string() const {
  switch (kind) {
    case Kind::kNone:
      break;
    case Kind::kGlobal:
      return "global";
    case Kind::kModuleType:
      return fmt::format("module_type \"{}\"", entry);
    case Kind::kModuleName:
      return fmt::format("module_name \"{}\"", entry);
    case Kind::kModuleQConfig:
      return fmt::format("module.qconfig of \"{}\"", entry);
    case Kind::kAnyMember:
      return fmt::format("any_member \"{}\"", entry);
  }
  return "none";
}

QConfigResolver::QConfigResolver(const GraphModule& gm, const QConfigDict& dict)
    : gm_(gm), dict_(dict), calls_(gm) {
  if (dict.module_type.empty()) return;
  for (const auto& [name, call] : calls_.all()) {
    classes_.emplace_back(call.caller.path, call.caller.class_name);
  }
  std::sort(classes_.begin(), classes_.end());
}

std::string_view QConfigResolver::class_at(std::string_view path) const {
  const auto known = std::lower_bound(
      classes_.begin(), classes_.end(), path,
      [](const auto& entry, std::string_view wanted) { return entry.first < wanted; });
  return known != classes_.end() && known->first == path ? known->second : std::string_view();
}

QConfigRule QConfigResolver::rule_of_type(const FloatCall& call) const {
  int distance = 0;
  for (const std::string& class_name : {call.module.class_name, call.caller.class_name}) {
    const Entry* entry = by_class(dict_.module_type, class_name);
    if (entry) return make_rule(Kind::kModuleType, *entry, call, distance);
    ++distance;
  }
  for (std::string_view at = call.caller.path; !at.empty(); ++distance) {
    at = parent(at);
    const Entry* entry = by_class(dict_.module_type, class_at(at));
    if (entry) return make_rule(Kind::kModuleType, *entry, call, distance);
  }
  return {};
}

QConfigRule QConfigResolver::rule_of(const FloatCall& call) const {
  for (const auto& [kind, entries] : {std::pair(Kind::kAnyMember, &dict_.any_member),
                                      std::pair(Kind::kModuleQConfig, &dict_.module_qconfig),
                                      std::pair(Kind::kModuleName, &dict_.module_name)}) {
    for (const std::string& path : {call.module.path, call.caller.path}) {
      const Entry* entry = by_path(*entries, path);
      if (entry) return make_rule(kind, *entry, call, depth(path) - depth(entry->first));
    }
  }
  if (!dict_.module_type.empty()) {
    const QConfigRule rule = rule_of_type(call);
    if (rule.kind != Kind::kNone) return rule;
  }
  if (!dict_.global) return {};
  return {Kind::kGlobal, "", call.module.path, 0, &*dict_.global};
}

std::vector<QConfigRule> QConfigResolver::member_rules(const Node& node) const {
  std::vector<QConfigRule> rules;
  for (const FloatCall* call : calls_.members(node)) rules.push_back(rule_of(*call));
  return rules;
}

QConfigRule QConfigResolver::rule_among(const std::vector<QConfigRule>& members) const {
  if (members.empty()) return {};
  for (const QConfigRule& inner : members) {
    const bool is_null = !inner.qconfig && inner.kind > Kind::kGlobal;
    if (is_null && inner.is_closer_than(members.back())) return inner;
  }
  const QConfigRule* chosen = &members.back();
  for (const QConfigRule& inner : members) {
    if (inner.kind != Kind::kAnyMember) continue;
    const bool skips = !inner.qconfig && !chosen->is_closer_than(inner);
    if (skips || inner.is_closer_than(*chosen)) chosen = &inner;
  }
  return *chosen;
}

QConfigRule QConfigResolver::rule(const Node& node) const { return rule_among(member_rules(node)); }

std::vector<std::string> QConfigResolver::notes() const {
  struct Place {
    const Node* node;
    std::string_view last;
    int others = 0;
  };
  std::map<std::string, Place> unused;  // by entry
  for (const Node* node : gm_.graph().nodes()) {
    if (node->origins.size() < 2) continue;
    const std::vector<QConfigRule> members = member_rules(*node);
    const QConfigRule chosen = rule_among(members);
    for (const QConfigRule& inner : members) {
      const bool loses = inner.kind > Kind::kGlobal && !same(inner.qconfig, chosen.qconfig);
      if (!loses || chosen.is_closer_than(inner)) continue;
      const auto [place, is_new] = unused.emplace(inner.to_string(), Place{node, chosen.member});
      if (!is_new) ++place->second.others;
    }
  }
  std::vector<std::string> lines;
  for (const auto& [entry, place] : unused) {
    const std::string others = place.others == 0 ? "" : fmt::format(" (and {} more)", place.others);
    lines.push_back(fmt::format(
        "qconfig: {} does not decide about %{}{}: a fused op has the qconfig of its last member, "
        "here named by '{}'",
        entry, place.node->name(), others, place.last));
  }
  const std::map<std::string, InnerModule> kept_whole = inner_modules(gm_);
  for (const auto* entries : {&dict_.any_member, &dict_.module_qconfig, &dict_.module_name}) {
    for (const auto& [name, qconfig] : *entries) {
      const auto inner = kept_whole.find(name);
      if (inner == kept_whole.end()) continue;
      lines.push_back(
          fmt::format("qconfig: '{}' is inside '{}', which is kept whole and runs in float", name,
                      inner->second.inside));
    }
  }
  return lines;
}

absl::Status QConfigResolver::check_names() const {
  if (dict_.any_member.empty() && dict_.module_qconfig.empty() && dict_.module_name.empty() &&
      dict_.module_type.empty()) {
    return absl::OkStatus();
  }
  std::set<std::string> paths = calls_.paths();
  std::set<std::string> classes;
  for (const auto& [path, inner] : inner_modules(gm_)) {
    paths.insert(path);
    classes.insert(inner.class_name);
  }
  for (const auto& [value, call] : calls_.all()) {
    classes.insert(call.module.class_name);
    classes.insert(call.caller.class_name);
  }
  Problems problems;
  for (const auto* entries : {&dict_.any_member, &dict_.module_qconfig, &dict_.module_name}) {
    for (const auto& [name, qconfig] : *entries) {
      if (!name.empty() && paths.count(name) == 0) problems.add(no_module(name, paths));
    }
  }
  for (const auto& [name, qconfig] : dict_.module_type) {
    if (!has_class(classes, name)) problems.add(no_class(name, classes));
  }
  return problems.status(absl::StatusCode::kInvalidArgument, "");
}

}  // namespace fxq
