// find: module.qconfig, then module_name (longest path), then module_type from the node's owner
// outwards, then global.
#include "fxq/quant/qconfig.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "fxq/base/nearest.h"
#include "fxq/base/status.h"
#include "fxq/graph/problems.h"
#include "fxq/quant/fake_quantize.h"

namespace fxq {
namespace {

absl::Status check_dtype(std::string_view argument, std::string_view dtype) {
  if (dtype == "qint8" || dtype == "qint16") return absl::OkStatus();
  return absl::InvalidArgumentError(
      fmt::format("{} is \"qint8\" or \"qint16\", not \"{}\"", argument, dtype));
}

absl::Status check_fake_quant(std::string_view argument, std::string_view name) {
  if (name == "fake_quant") return absl::OkStatus();
  if (name == "lsq" || name == "pact") {
    return absl::UnimplementedError(
        fmt::format("{} \"{}\" is not here yet; use \"fake_quant\"", argument, name));
  }
  return absl::InvalidArgumentError(
      fmt::format("{} is \"fake_quant\", \"lsq\" or \"pact\", not \"{}\"", argument, name));
}

absl::Status check_backend(std::string_view backend) {
  if (backend.empty() || backend == "cpu" || backend == "bpu") return absl::OkStatus();
  return absl::InvalidArgumentError(
      fmt::format("backend is \"\", \"cpu\" or \"bpu\", not \"{}\"", backend));
}

absl::StatusOr<FakeQuantizeFactory> make_factory(std::string_view dtype, QKwargs standard,
                                                 const QKwargs& overrides) {
  standard.emplace_back("dtype", std::string(dtype));
  FXQ_ASSIGN_OR_RETURN(auto factory, FakeQuantizeFactory().with_args(standard));
  FXQ_ASSIGN_OR_RETURN(factory, factory.with_args(overrides));
  FXQ_RETURN_IF_ERROR(factory().status());
  return factory;
}

absl::StatusOr<FakeQuantizeFactory> weight_factory(std::string_view dtype, QKwargs standard,
                                                   const QKwargs& overrides) {
  standard.emplace_back("observer", "MovingAveragePerChannelMinMaxObserver");
  standard.emplace_back("averaging_constant", 1.0);
  return make_factory(dtype, std::move(standard), overrides);
}

// "a.b" covers "a.b" and "a.b.c", never "a.bc".
bool covers(std::string_view ancestor, std::string_view path) {
  if (path.substr(0, ancestor.size()) != ancestor) return false;
  return path.size() == ancestor.size() || path[ancestor.size()] == '.';
}

bool same_class(std::string_view full, std::string_view wanted) {
  if (full == wanted) return true;
  return full.size() > wanted.size() && full.substr(full.size() - wanted.size()) == wanted &&
         full[full.size() - wanted.size() - 1] == '.';
}

// The last of the longest matching paths.
const std::optional<QConfig>* by_path(const QConfigDict::Entries& entries, std::string_view path) {
  const std::optional<QConfig>* best = nullptr;
  size_t best_length = 0;
  for (const auto& [name, qconfig] : entries) {
    if (!covers(name, path) || (best && name.size() < best_length)) continue;
    best = &qconfig;
    best_length = name.size();
  }
  return best;
}

// The last entry of the class.
const std::optional<QConfig>* by_class(const QConfigDict::Entries& entries,
                                       std::string_view class_name) {
  const auto entry = std::find_if(entries.rbegin(), entries.rend(), [&](const auto& named) {
    return !class_name.empty() && same_class(class_name, named.first);
  });
  return entry == entries.rend() ? nullptr : &entry->second;
}

std::string_view parent(std::string_view path) {
  const size_t dot = path.rfind('.');
  return dot == std::string_view::npos ? std::string_view() : path.substr(0, dot);
}

// "torch.nn.modules.conv.Conv2d" -> "Conv2d"
std::vector<std::string> short_names(const std::set<std::string>& classes) {
  std::set<std::string> names;
  for (const std::string& name : classes) {
    if (!name.empty()) names.insert(name.substr(name.rfind('.') + 1));
  }
  return {names.begin(), names.end()};
}

bool has_path(const std::set<std::string>& paths, const std::string& name) {
  std::string folded = name;  // conv1.bn of a fused model lives on as an origin
  std::replace(folded.begin(), folded.end(), '.', '_');
  return name.empty() || paths.count(name) != 0 || paths.count(folded) != 0;
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

absl::StatusOr<QConfig> get_default_calib_qconfig(std::string_view dtype,
                                                  const QKwargs& calib_qkwargs,
                                                  std::string_view backend) {
  FXQ_RETURN_IF_ERROR(check_dtype("dtype", dtype));
  FXQ_RETURN_IF_ERROR(check_backend(backend));
  QConfig qconfig;
  FXQ_ASSIGN_OR_RETURN(
      qconfig.activation,
      make_factory(dtype, {{"observer", "MseObserver"}, {"calibration", true}}, calib_qkwargs));
  FXQ_ASSIGN_OR_RETURN(qconfig.weight, weight_factory("qint8", {{"calibration", true}}, {}));
  qconfig.backend = std::string(backend);
  return qconfig;
}

absl::StatusOr<QConfig> get_default_qat_qconfig(const QatQConfigOptions& options) {
  FXQ_RETURN_IF_ERROR(check_dtype("dtype", options.dtype));
  FXQ_RETURN_IF_ERROR(check_fake_quant("activation_fake_quant", options.activation_fake_quant));
  FXQ_RETURN_IF_ERROR(check_dtype("weight_dtype", options.weight_dtype));
  FXQ_RETURN_IF_ERROR(check_fake_quant("weight_fake_quant", options.weight_fake_quant));
  FXQ_RETURN_IF_ERROR(check_backend(options.backend));
  QConfig qconfig;
  FXQ_ASSIGN_OR_RETURN(qconfig.activation,
                       make_factory(options.dtype, {}, options.activation_qkwargs));
  FXQ_ASSIGN_OR_RETURN(qconfig.weight,
                       weight_factory(options.weight_dtype, {}, options.weight_qkwargs));
  qconfig.backend = options.backend;
  return qconfig;
}

absl::StatusOr<QConfig> get_default_qat_out_qconfig(std::string_view dtype,
                                                    std::string_view weight_fake_quant,
                                                    const QKwargs& weight_qkwargs,
                                                    std::string_view backend) {
  QatQConfigOptions options;
  options.dtype = std::string(dtype);
  options.weight_fake_quant = std::string(weight_fake_quant);
  options.weight_qkwargs = weight_qkwargs;
  options.backend = std::string(backend);
  FXQ_ASSIGN_OR_RETURN(QConfig qconfig, get_default_qat_qconfig(options));
  qconfig.activation.reset();
  return qconfig;
}

QConfigResolver::QConfigResolver(const GraphModule& gm, const QConfigDict& dict)
    : gm_(gm), dict_(dict) {
  for (const Node* node : gm.graph().nodes()) {
    if (node->is_call()) classes_.emplace_back(node->owner.path, node->owner.class_name);
  }
  std::sort(classes_.begin(), classes_.end());
}

// A module that is called is its own owner; what its code calls belongs to the caller.
Owner QConfigResolver::owner_of(const Node& node) const {
  if (!node.is(NodeKind::kCallModule)) return node.owner;
  const auto module = gm_.module(node.target());
  return module ? Owner{node.target(), module->class_name()} : node.owner;
}

std::string_view QConfigResolver::class_at(std::string_view path) const {
  const auto known = std::lower_bound(classes_.begin(), classes_.end(),
                                      std::pair(std::string(path), std::string()));
  return known != classes_.end() && known->first == path ? known->second : std::string_view();
}

const QConfig* QConfigResolver::find(const Node& node) const {
  const Owner owner = owner_of(node);
  auto answer = [](const std::optional<QConfig>& entry) { return entry ? &*entry : nullptr; };
  for (const QConfigDict::Entries* entries : {&dict_.module_qconfig, &dict_.module_name}) {
    for (const std::string& path : {owner.path, node.owner.path}) {
      if (const auto* entry = by_path(*entries, path)) return answer(*entry);
    }
  }
  for (const std::string& class_name : {owner.class_name, node.owner.class_name}) {
    if (const auto* entry = by_class(dict_.module_type, class_name)) return answer(*entry);
  }
  for (std::string_view at = node.owner.path;; at = parent(at)) {
    if (const auto* entry = by_class(dict_.module_type, class_at(at))) return answer(*entry);
    if (at.empty()) break;
  }
  return answer(dict_.global);
}

QConfigResolver::Names QConfigResolver::names() const {
  Names names;
  for (const Node* node : gm_.graph().nodes()) {
    if (!node->is_call()) continue;
    for (const Owner& owner : {owner_of(*node), node->owner}) {
      for (std::string_view at = owner.path; !at.empty(); at = parent(at)) names.paths.emplace(at);
      names.classes.insert(owner.class_name);
    }
    names.paths.insert(node->origins.begin(), node->origins.end());
  }
  return names;
}

absl::Status QConfigResolver::check_names() const {
  const Names known = names();
  Problems problems;
  for (const QConfigDict::Entries* entries : {&dict_.module_qconfig, &dict_.module_name}) {
    for (const auto& [name, qconfig] : *entries) {
      if (!has_path(known.paths, name)) problems.add(no_module(name, known.paths));
    }
  }
  for (const auto& [name, qconfig] : dict_.module_type) {
    if (!has_class(known.classes, name)) problems.add(no_class(name, known.classes));
  }
  return problems.status(absl::StatusCode::kInvalidArgument, "");
}

absl::StatusOr<bool> allows_unsigned(const QConfig& qconfig, March march) {
  FXQ_RETURN_IF_ERROR(check_backend(qconfig.backend));
  if (qconfig.backend == "cpu" && march != March::CPU) {
    return absl::InvalidArgumentError(fmt::format(
        "backend \"cpu\" uses quint8, which {} does not have; prepare for March::CPU or "
        "leave backend empty",
        march_name(march)));
  }
  return march == March::CPU && qconfig.backend != "bpu";
}

}  // namespace fxq
