// ExecutorPackedCache: the PackedCache of one Executor, keeping every packed constant for its
// lifetime.
#pragma once

#include <map>
#include <mutex>
#include <string>

#include "fxq/base/status.h"
#include "fxq/runtime/kernel.h"

namespace fxq {

class ExecutorPackedCache final : public PackedCache {
 public:
  absl::StatusOr<PackedConstant> get(const std::string& key, const Make& make) override {
    std::lock_guard<std::mutex> lock(mutex_);
    const auto found = entries_.find(key);
    if (found != entries_.end()) return found->second;
    FXQ_ASSIGN_OR_RETURN(PackedConstant packed, make());
    bytes_ += packed.bytes;
    return entries_.emplace(key, std::move(packed)).first->second;
  }

  size_t bytes() const {
    std::lock_guard<std::mutex> lock(mutex_);
    return bytes_;
  }

 private:
  mutable std::mutex mutex_;
  std::map<std::string, PackedConstant> entries_;
  size_t bytes_ = 0;
};

}  // namespace fxq
