// "__torch__.torch.nn.modules.conv.___torch_mangle_3.Conv2d" -> "torch.nn.modules.conv.Conv2d"
#include "fxq/tracer/wrap.h"

namespace fxq {

WrapRegistry::WrapRegistry(const WrapRegistry& other) { *this = other; }

WrapRegistry& WrapRegistry::operator=(const WrapRegistry& other) {
  if (this == &other) return *this;
  std::scoped_lock lock(mutex_, other.mutex_);
  names_ = other.names_;
  return *this;
}

WrapRegistry& WrapRegistry::process_wide() {
  static auto* registry = new WrapRegistry;
  return *registry;
}

void WrapRegistry::wrap(std::string_view name) {
  std::lock_guard<std::mutex> lock(mutex_);
  names_.emplace(name);
}

void WrapRegistry::unwrap(std::string_view name) {
  std::lock_guard<std::mutex> lock(mutex_);
  const auto found = names_.find(name);
  if (found != names_.end()) names_.erase(found);
}

void WrapRegistry::clear() {
  std::lock_guard<std::mutex> lock(mutex_);
  names_.clear();
}

bool WrapRegistry::empty() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return names_.empty();
}

bool WrapRegistry::has(std::string_view qualified_name) const {
  std::lock_guard<std::mutex> lock(mutex_);
  if (names_.find(qualified_name) != names_.end()) return true;
  const size_t dot = qualified_name.rfind('.');
  return dot != std::string_view::npos &&
         names_.find(qualified_name.substr(dot + 1)) != names_.end();
}

bool WrapRegistry::has_method(std::string_view class_name, std::string_view method) const {
  if (has(class_name)) return true;
  const std::string full = std::string(class_name) + "." + std::string(method);
  const size_t dot = class_name.rfind('.');
  const std::string brief = full.substr(dot == std::string_view::npos ? 0 : dot + 1);
  std::lock_guard<std::mutex> lock(mutex_);
  return names_.find(full) != names_.end() || names_.find(brief) != names_.end();
}

void wrap(std::string_view name) { WrapRegistry::process_wide().wrap(name); }

std::string python_name(std::string_view torchscript_name) {
  constexpr std::string_view kMangle = "___torch_mangle_";
  constexpr std::string_view kRoot = "__torch__.";
  std::string name(torchscript_name);
  for (size_t at = name.find(kMangle); at != std::string::npos; at = name.find(kMangle, at)) {
    const size_t dot = name.find('.', at);
    if (dot == std::string::npos) break;
    name.erase(at, dot + 1 - at);
  }
  if (name.compare(0, kRoot.size(), kRoot) == 0) name.erase(0, kRoot.size());
  return name;
}

}  // namespace fxq
