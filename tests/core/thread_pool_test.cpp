#include "muonlab/core/thread_pool.h"

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <stdexcept>

#include "tests/support/expect_error.h"

namespace muonlab::core {
namespace {

// Also more threads than this machine may have cores.
constexpr std::array<std::size_t, 4> kSizes = {1, 2, 3, 8};

TEST(ThreadPool, CallsTheBodyOncePerRank) {
  for (const std::size_t size : kSizes) {
    ThreadPool pool(size);
    ASSERT_EQ(pool.size(), size);
    std::vector<int> calls(size);
    for (int round = 1; round <= 500; ++round) {
      pool.run([&](std::size_t rank) { ++calls.at(rank); });
      ASSERT_EQ(calls, std::vector<int>(size, round));
    }
  }
}

TEST(ThreadPool, RunsRankZeroOnTheCallingThreadAndAllAtOnce) {
  ThreadPool pool(4);
  std::vector<std::thread::id> ids(4);
  std::atomic<int> arrived{0};
  pool.run([&](std::size_t rank) {
    ids[rank] = std::this_thread::get_id();
    ++arrived;
    while (arrived < 4) std::this_thread::yield();
  });
  EXPECT_EQ(ids[0], std::this_thread::get_id());
  for (std::size_t rank = 1; rank < 4; ++rank) EXPECT_NE(ids[rank], ids[0]);
}

TEST(ThreadPool, WakesThreadsThatSleep) {
  ThreadPool pool(2);
  for (int round = 0; round < 20; ++round) {
    std::atomic<int> calls{0};
    pool.run([&](std::size_t) { ++calls; });
    ASSERT_EQ(calls, 2);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

TEST(ThreadPool, ThrowsTheFirstExceptionWhenAllRanksHaveFinished) {
  ThreadPool pool(3);
  for (std::size_t thrower = 0; thrower < 3; ++thrower) {
    std::atomic<int> finished{0};
    const auto body = [&](std::size_t rank) {
      if (rank == thrower) throw std::out_of_range("this rank");
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
      ++finished;
    };
    EXPECT_THROW(pool.run(body), std::out_of_range);
    EXPECT_EQ(finished, 2);
  }
  // The pool is as good as new.
  std::atomic<int> calls{0};
  EXPECT_NO_THROW(pool.run([&](std::size_t) { ++calls; }));
  EXPECT_EQ(calls, 3);
}

TEST(ThreadPool, ThrowsOneExceptionWhenAllRanksThrow) {
  ThreadPool pool(3);
  EXPECT_THROW(pool.run([](std::size_t) { throw std::length_error("each"); }),
               std::length_error);
  EXPECT_NO_THROW(pool.run([](std::size_t) {}));
}

TEST(ThreadPool, RefusesToBeRunFromInsideABody) {
  ThreadPool pool(2);
  ThreadPool other(1);
  testing::expect_error(ErrorKind::kInternal, {"inside a body"}, [&] {
    pool.run([&](std::size_t) { pool.run([](std::size_t) {}); });
  });
  testing::expect_error(ErrorKind::kInternal, {"inside a body"}, [&] {
    other.run([&](std::size_t) { pool.run([](std::size_t) {}); });
  });
  EXPECT_NO_THROW(pool.run([](std::size_t) {}));
}

TEST(ThreadPool, LetsCallersTakeTurns) {
  ThreadPool pool(2);
  constexpr int kCallers = 4;
  constexpr int kRounds = 300;
  long sum = 0;  // not atomic: one run at a time, and rank 0 alone writes
  std::atomic<int> running{0};
  std::atomic<bool> overlapped{false};
  std::vector<std::thread> callers;
  for (int i = 0; i < kCallers; ++i) {
    callers.emplace_back([&] {
      for (int round = 0; round < kRounds; ++round) {
        pool.run([&](std::size_t rank) {
          if (rank != 0) return;
          if (running.fetch_add(1) != 0) overlapped = true;
          ++sum;
          running.fetch_sub(1);
        });
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(sum, kCallers * kRounds);
  EXPECT_FALSE(overlapped);
}

TEST(ThreadPool, RefusesNoThreads) {
  testing::expect_error(ErrorKind::kInvalidArgument, {"threads: got 0"},
                        [] { ThreadPool pool(0); });
}

TEST(ThreadPool, SharedPoolsAreOnePerSize) {
  EXPECT_EQ(&shared_pool(2), &shared_pool(2));
  EXPECT_NE(&shared_pool(2), &shared_pool(1));
  EXPECT_EQ(shared_pool(2).size(), 2U);
}

TEST(Barrier, HoldsAllRanksThousandsOfTimes) {
  for (const std::size_t size : kSizes) {
    ThreadPool pool(size);
    Barrier barrier(size);
    const int rounds = size > 2 ? 1000 : 10000;
    // Plain integers: the barrier alone orders the writes and the reads.
    std::vector<int> at(size);
    std::atomic<int> wrong{0};
    pool.run([&](std::size_t rank) {
      for (int round = 1; round <= rounds; ++round) {
        at[rank] = round;
        barrier.wait();
        for (const int other : at) wrong += other != round;
        barrier.wait();
      }
    });
    EXPECT_EQ(wrong, 0) << size << " ranks";
  }
}

TEST(Barrier, RefusesSizeZero) {
  testing::expect_error(ErrorKind::kInvalidArgument, {"barrier size: got 0"},
                        [] { Barrier barrier(0); });
}

}  // namespace
}  // namespace muonlab::core
