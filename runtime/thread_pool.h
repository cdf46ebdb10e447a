// ThreadPool: threads - 1 workers beside the calling thread, for steps that last microseconds: a
// worker that has nothing to do spins for a bounded time, then sleeps. One caller at a time has the
// workers; a second one runs its slices by itself, so callers never wait for each other.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

#include "absl/functional/function_ref.h"

namespace fxq {

class ThreadPool {
 public:
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return static_cast<int>(workers_.size()) + 1; }

  // Calls slice(i, worker) once for each i in [0, slices), in no order, and returns when all are
  // done. `worker` is in [0, threads()); no two calls with the same worker overlap.
  using Slice = absl::FunctionRef<void(int slice, int worker)>;
  void run(int slices, Slice slice);

 private:
  void work(int worker);
  void take_slices(int worker);
  bool wait_for_job(uint64_t seen);

  // Generation of the job in the high half, how many of its slices are unclaimed in the low half.
  std::atomic<uint64_t> state_{0};
  std::atomic<int> slices_{0};
  std::atomic<int> done_{0};
  std::atomic<const Slice*> job_{nullptr};

  std::mutex caller_;  // held by the caller that has the workers
  std::mutex sleep_mutex_;
  std::condition_variable wake_;
  std::atomic<int> sleeping_{0};
  std::atomic<bool> stop_{false};
  std::vector<std::thread> workers_;
};

}  // namespace fxq
