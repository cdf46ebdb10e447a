// The parts below the executor: memory plan, thread pool, storage, in-place rules.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <random>
#include <thread>

#include "fxq/runtime/memory_plan.h"
#include "fxq/runtime/storage.h"
#include "fxq/runtime/thread_pool.h"
#include "program_run.h"

namespace fxq {
namespace {

TEST(MemoryPlanTest, BuffersThatLiveTogetherNeverOverlap) {
  std::mt19937 random(1);
  for (int round = 0; round < 200; ++round) {
    std::vector<BufferLife> lives;
    size_t peak = 0;
    for (unsigned i = 0; i < random() % 40; ++i) {
      const int first = static_cast<int>(random() % 20) - 1;
      lives.push_back({random() % 5000, first, first + static_cast<int>(random() % 6)});
    }
    const MemoryPlan plan = plan_memory(lives);
    for (size_t a = 0; a < lives.size(); ++a) {
      EXPECT_EQ(plan.offsets[a] % 64, 0u);
      EXPECT_LE(plan.offsets[a] + lives[a].bytes, plan.arena_bytes);
      for (size_t b = 0; b < a; ++b) {
        const bool together = lives[a].first <= lives[b].last && lives[b].first <= lives[a].last;
        const bool apart = plan.offsets[a] + lives[a].bytes <= plan.offsets[b] ||
                           plan.offsets[b] + lives[b].bytes <= plan.offsets[a];
        EXPECT_TRUE(!together || apart || lives[a].bytes == 0 || lives[b].bytes == 0);
      }
    }
    for (int now = -1; now < 26; ++now) {
      size_t bytes = 0;
      for (const BufferLife& life : lives) {
        if (life.first <= now && now <= life.last) bytes += life.bytes;
      }
      peak = std::max(peak, bytes);
    }
    EXPECT_GE(plan.arena_bytes, peak);
    EXPECT_LE(plan.arena_bytes, plan.unshared_bytes);
  }
}

TEST(ThreadPoolTest, EverySliceRunsOnceOnItsOwnWorker) {
  for (int threads : {1, 2, 4}) {
    ThreadPool pool(threads);
    for (int slices : {0, 1, 2, 7, 100}) {
      for (int round = 0; round < 20; ++round) {
        std::vector<std::atomic<int>> runs(static_cast<size_t>(slices));
        std::vector<std::atomic<int>> busy(static_cast<size_t>(threads));
        std::atomic<bool> clash{false};
        pool.run(slices, [&](int slice, int worker) {
          if (busy[static_cast<size_t>(worker)]++ != 0) clash = true;
          ++runs[static_cast<size_t>(slice)];
          --busy[static_cast<size_t>(worker)];
        });
        for (const auto& count : runs) EXPECT_EQ(count, 1);
        EXPECT_FALSE(clash);
      }
    }
    // Long enough for the workers to fall asleep.
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    std::atomic<int> sum{0};
    pool.run(10, [&](int slice, int) { sum += slice; });
    EXPECT_EQ(sum, 45);
  }
}

// Jobs of changing sizes back to back, so that workers are late for one when the next is set up.
TEST(ThreadPoolTest, LateWorkersRunNoSliceTwice) {
  for (int threads : {2, 4}) {
    ThreadPool pool(threads);
    std::array<std::atomic<int>, 16> runs{};
    int64_t wrong = 0;
    for (int round = 0; round < 100'000; ++round) {
      const int slices = 2 + round % 15;
      pool.run(slices, [&](int slice, int) { ++runs[static_cast<size_t>(slice)]; });
      for (int i = 0; i < slices; ++i) wrong += runs[static_cast<size_t>(i)].exchange(0) != 1;
    }
    EXPECT_EQ(wrong, 0) << threads << " threads";
  }
}

TEST(ThreadPoolTest, CallersDoNotWaitForEachOther) {
  ThreadPool pool(2);
  std::atomic<int> sum{0};
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 4; ++caller) {
    callers.emplace_back([&] {
      for (int i = 0; i < 300; ++i) pool.run(5, [&](int, int) { ++sum; });
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(sum, 4 * 300 * 5);
}

TEST(StorageTest, RoundTripsAndShifts) {
  for (DType type : {DType::kU8, DType::kI8, DType::kI16, DType::kF32}) {
    for (const std::vector<int64_t>& dims :
         {std::vector<int64_t>{}, {5}, {2, 3}, {2, 3, 4}, {2, 70, 3, 37}, {1, 2, 3, 4, 5}}) {
      HostTensor x(type, dims);
      for (size_t i = 0; i < x.byte_size(); ++i) x.mutable_bytes()[i] = std::byte(i * 31);
      HostTensor stored(type, dims);
      HostTensor back(type, dims);
      plain_to_stored(type, dims, x.bytes(), stored.mutable_bytes());
      stored_to_plain(type, dims, stored.bytes(), back.mutable_bytes());
      EXPECT_TRUE(std::equal(x.bytes(), x.bytes() + x.byte_size(), back.bytes()));
    }
  }
  HostTensor x(DType::kI8, {1, 2, 1, 2});
  const int8_t values[] = {-128, -1, 0, 127};
  std::copy(values, values + 4, x.mutable_data<int8_t>().begin());
  HostTensor stored(DType::kI8, x.dims());
  plain_to_stored(DType::kI8, x.dims(), x.bytes(), stored.mutable_bytes());
  const auto bytes = stored.data<uint8_t>();
  EXPECT_EQ(std::vector<int>(bytes.begin(), bytes.end()), (std::vector<int>{0, 128, 127, 255}));
  EXPECT_EQ(stored_strides(DType::kU8, {2, 3, 4, 5}), (std::vector<int64_t>{60, 1, 15, 3}));
}

// An operand that is read later, an output, an input, and both operands at once stay as they are.
TEST(BufferSharingTest, NothingThatIsStillNeededIsOverwritten) {
  testing::ProgramBuilder b;
  const testing::Attrs add = {{"scale_a", 1.0}, {"scale_b", 1.0}, {"scale_out", 1.0}};
  const ValueId x = b.input("x", DType::kI16);
  const ValueId twice = b.step("Add", {x, x}, add, DType::kI16);
  const ValueId four = b.step("Add", {twice, twice}, add, DType::kI16);
  const ValueId six = b.step("Add", {four, twice}, add, DType::kI16);
  const ValueId flat =
      b.step("Reshape", {four}, {{"shape", std::vector<int64_t>{-1}}}, DType::kI16);
  const ValueId kept = b.step("Relu", {six}, {}, DType::kI16);
  const ValueId eight = b.step("Add", {flat, flat}, add, DType::kI16);
  HostTensor input(DType::kI16, {2, 3});
  for (int16_t i = 0; i < 6; ++i) input.mutable_data<int16_t>()[i] = static_cast<int16_t>(i - 2);
  const auto outputs = testing::run(b.output({four, six, kept, eight}), {input});
  ASSERT_EQ(outputs.size(), 4u);
  for (int64_t i = 0; i < 6; ++i) {
    const int value = static_cast<int>(i) - 2;
    EXPECT_EQ(testing::integer_at(outputs[0], i), 4 * value);
    EXPECT_EQ(testing::integer_at(outputs[1], i), 6 * value);
    EXPECT_EQ(testing::integer_at(outputs[2], i), std::max(6 * value, 0));
    EXPECT_EQ(testing::integer_at(outputs[3], i), 8 * value);
  }
}

}  // namespace
}  // namespace fxq
