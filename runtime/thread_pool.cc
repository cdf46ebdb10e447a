// A job is published by one store to state_: its generation and how many slices are unclaimed.
// Whoever swaps state_ for one less owns a slice. The fields of a job change only when none of its
// slices is unclaimed or running: what was read before a claim that succeeds, and what is read
// until done_ is counted, is the job's own. A state with no unclaimed slice can't be claimed, so a
// late worker never takes part in a job that is being set up.
#include "fxq/runtime/thread_pool.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace fxq {
namespace {

// About 50 microseconds: longer than the gap between two steps, short enough to be a good
// neighbour.
constexpr int kSpins = 1500;

void pause() {
#if defined(__x86_64__)
  _mm_pause();
#endif
}

constexpr uint64_t generation(uint64_t state) { return state >> 32; }
constexpr int unclaimed(uint64_t state) { return static_cast<int>(state & 0xffffffffu); }

}  // namespace

ThreadPool::ThreadPool(int threads) {
  for (int worker = 1; worker < threads; ++worker) {
    workers_.emplace_back([this, worker] { work(worker); });
  }
}

ThreadPool::~ThreadPool() {
  {
    std::lock_guard<std::mutex> lock(sleep_mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::run(int slices, Slice slice) {
  std::unique_lock<std::mutex> lock(caller_, std::defer_lock);
  if (slices <= 1 || workers_.empty() || !lock.try_lock()) {
    for (int i = 0; i < slices; ++i) slice(i, 0);
    return;
  }
  job_ = &slice;
  slices_ = slices;
  done_ = 0;
  state_ = (generation(state_) + 1) << 32 | static_cast<uint32_t>(slices);
  if (sleeping_ > 0) {
    { std::lock_guard<std::mutex> sleep_lock(sleep_mutex_); }
    wake_.notify_all();
  }
  take_slices(0);
  for (int spin = 0; done_.load(std::memory_order_acquire) < slices; ++spin) {
    if (spin < kSpins) {
      pause();
    } else {
      std::this_thread::yield();
    }
  }
}

void ThreadPool::take_slices(int worker) {
  uint64_t state = state_.load();
  while (unclaimed(state) > 0) {
    const Slice* job = job_.load();
    if (!state_.compare_exchange_weak(state, state - 1)) continue;
    (*job)(slices_.load() - unclaimed(state), worker);
    done_.fetch_add(1, std::memory_order_release);
    state = state_.load();
  }
}

bool ThreadPool::wait_for_job(uint64_t seen) {
  for (int spin = 0; spin < kSpins; ++spin) {
    if (generation(state_) != seen) return true;
    if (stop_) return false;
    pause();
  }
  std::unique_lock<std::mutex> lock(sleep_mutex_);
  ++sleeping_;
  wake_.wait(lock, [&] { return stop_ || generation(state_) != seen; });
  --sleeping_;
  return !stop_;
}

void ThreadPool::work(int worker) {
  uint64_t seen = 0;
  while (wait_for_job(seen)) {
    seen = generation(state_);
    take_slices(worker);
  }
}

}  // namespace fxq
