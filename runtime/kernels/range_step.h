// RangeStep: a BoundStep over [0, count) items that are independent of each other, cut into one
// range per worker, or fewer when a range would be too small to be worth a hand-over. What most
// kernels here return from bind.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "fxq/runtime/kernel.h"

namespace fxq::kernels {

// Work below this many bytes takes less time than waking a worker.
inline constexpr int64_t kGrainBytes = 16 * 1024;

// body(begin, end, buffers) must write only what belongs to its items.
template <typename Body>
class RangeStep final : public BoundStep {
 public:
  RangeStep(int64_t count, int64_t item_bytes, int threads, std::string implementation, Body body)
      : count_(count), implementation_(std::move(implementation)), body_(std::move(body)) {
    const int64_t worthwhile = count * std::max<int64_t>(item_bytes, 1) / kGrainBytes;
    slices_ = std::max<int64_t>(1, std::min<int64_t>({threads, worthwhile, count}));
  }

  int slices(int) const override { return static_cast<int>(slices_); }

  absl::Status run_slice(int, int slice, const StepBuffers& buffers) const override {
    body_(count_ * slice / slices_, count_ * (slice + 1) / slices_, buffers);
    return absl::OkStatus();
  }

  std::string implementation() const override { return implementation_; }

 private:
  int64_t count_;
  int64_t slices_;
  std::string implementation_;
  Body body_;
};

// `item_bytes`: roughly how many bytes an item reads and writes.
template <typename Body>
std::unique_ptr<BoundStep> range_step(int64_t count, int64_t item_bytes, int threads,
                                      std::string implementation, Body body) {
  return std::make_unique<RangeStep<Body>>(count, item_bytes, threads, std::move(implementation),
                                           std::move(body));
}

}  // namespace fxq::kernels
