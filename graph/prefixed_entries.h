// Named entries of a module inside another one, under a prefix: "weight_fq_" + "scale". For the
// text form of modules that hold modules. Pure templates over NamedTensors and NamedAttributes.
#pragma once

#include <string>
#include <string_view>
#include <utility>

namespace fxq {

inline bool has_prefix(std::string_view name, std::string_view prefix) {
  return name.substr(0, prefix.size()) == prefix;
}

template <typename Named>
void append_prefixed(Named& all, const Named& inner, std::string_view prefix) {
  for (const auto& [name, value] : inner) all.emplace_back(std::string(prefix) + name, value);
}

// What carries the prefix, without it; the rest stays in `all`.
template <typename Named>
Named take_prefixed(Named& all, std::string_view prefix) {
  Named own;
  Named inner;
  for (auto& [name, value] : all) {
    if (has_prefix(name, prefix))
      inner.emplace_back(name.substr(prefix.size()), std::move(value));
    else
      own.emplace_back(name, std::move(value));
  }
  all = std::move(own);
  return inner;
}

}  // namespace fxq
