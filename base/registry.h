// Registry: what callers add by name to a table that is otherwise fixed at compile time (ops,
// kernels, lowerings from outside). Entries stay where they are for the life of the process.
// Adding and finding are safe from several threads.
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

namespace fxq {

template <typename Entry>
class Registry {
 public:
  // False, and nothing changes, if the name is taken.
  bool add(std::string_view name, Entry entry) {
    std::lock_guard<std::mutex> lock(mutex_);
    return entries_.emplace(std::string(name), std::move(entry)).second;
  }

  const Entry* find(std::string_view name) const {  // nullptr if there is none
    std::lock_guard<std::mutex> lock(mutex_);
    const auto found = entries_.find(name);
    return found == entries_.end() ? nullptr : &found->second;
  }

 private:
  mutable std::mutex mutex_;  // guards entries_
  std::map<std::string, Entry, std::less<>> entries_;
};

}  // namespace fxq
