// wrap: names what the tracer must keep whole: a builtin or function, a module class (with every
// method its author defined), or one method. The registry is explicit; TraceOptions may own one,
// and there is one for the process. Names are Python's, without TorchScript's prefixes:
// "my_net.Block", "my_net.Block.refine", "my_net.fast_nms", "aten::nms". A bare last part ("Block",
// "len") also matches. A wrapped builtin becomes a call even where its result is known.
#pragma once

#include <mutex>
#include <set>
#include <string>
#include <string_view>

namespace fxq {

class WrapRegistry {
 public:
  WrapRegistry() = default;
  WrapRegistry(const WrapRegistry& other);
  WrapRegistry& operator=(const WrapRegistry& other);

  static WrapRegistry& process_wide();

  // One name for all four forms: what it names decides.
  void wrap(std::string_view name);
  void unwrap(std::string_view name);
  void clear();

  bool empty() const;
  bool has(std::string_view qualified_name) const;
  // True for a wrapped class and for a wrapped method of the class.
  bool has_method(std::string_view class_name, std::string_view method) const;

 private:
  mutable std::mutex mutex_;  // guards names_
  std::set<std::string, std::less<>> names_;
};

// Adds to the process-wide registry.
void wrap(std::string_view name);

// The same at namespace scope: FXQ_WRAP("my_net.fast_nms");
#define FXQ_WRAP(name) FXQ_WRAP_AT(name, __COUNTER__)
#define FXQ_WRAP_AT(name, count) FXQ_WRAP_AS(name, count)
#define FXQ_WRAP_AS(name, count) \
  [[maybe_unused]] static const bool fxq_wrapped_##count = (::fxq::wrap(name), true)

// "__torch__.a.b.___torch_mangle_3.Net" -> "a.b.Net"
std::string python_name(std::string_view torchscript_name);

}  // namespace fxq
