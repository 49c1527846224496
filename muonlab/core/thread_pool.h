// Threads that wait for work, for kernels of a few microseconds and more.
//
// Not OpenMP and not at::parallel_for: the latter is serial without a word when
// the including file is not compiled for OpenMP, and OpenMP's threads collapse
// beside any other busy process.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace muonlab::core {

namespace detail {

/// A counter that threads wait on: they spin for about 30 us, then sleep. What
/// was written before advance() is seen after wait_past().
class Signal {
 public:
  /// Without `spin` threads sleep at once: what waits for a thread that has no
  /// core must not keep it from one.
  explicit Signal(bool spin) noexcept : spin_(spin) {}

  [[nodiscard]] std::uint32_t value() const noexcept { return value_.load(); }
  void advance() noexcept;
  /// Returns once the value differs from `old`.
  void wait_past(std::uint32_t old) noexcept;

 private:
  const bool spin_;
  alignas(64) std::atomic<std::uint32_t> value_{0};
  alignas(64) std::atomic<std::uint32_t> sleepers_{0};
  std::mutex mutex_;
  std::condition_variable changed_;
};

}  // namespace detail

/// A point that `size` threads pass together, as often as they like; it must
/// outlive their last wait(). A thread that never comes holds the others for
/// ever: who may throw must do so where no other rank waits.
class Barrier {
 public:
  /// Throws Error(kInvalidArgument) on size 0.
  explicit Barrier(std::size_t size);
  /// What any thread wrote before is seen by all after. Costs nothing with
  /// size 1; with spinning threads that have a core each about 0.1 us.
  void wait() noexcept;

 private:
  const std::size_t size_;
  alignas(64) std::atomic<std::size_t> arrived_{0};
  detail::Signal phase_;
};

/// A fixed number of threads, the caller's among them.
class ThreadPool {
 public:
  /// Starts `threads` - 1 threads. Throws Error(kInvalidArgument) on 0 and
  /// Error(kUnsupported) when the system gives no more threads.
  explicit ThreadPool(std::size_t threads);
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;
  /// No run() may be under way.
  ~ThreadPool();

  [[nodiscard]] std::size_t size() const noexcept { return size_; }

  /// Calls body(rank) for every rank below size() at the same time, rank 0 on
  /// the calling thread, and returns when all have returned. Then the first
  /// exception, if there was one, is thrown again. Calls from several threads
  /// take turns; a call from inside a body, of this or another pool, throws
  /// Error(kInternal). About 0.2 us while the threads still spin after the
  /// last call, some 10 to 100 us when they have gone to sleep.
  void run(const std::function<void(std::size_t rank)>& body);

 private:
  void work(std::size_t rank);
  void run_rank(std::size_t rank) noexcept;
  void stop() noexcept;

  const std::size_t size_;
  std::mutex turn_;  // held by the run() that is under way
  const std::function<void(std::size_t)>* body_ = nullptr;
  std::mutex error_mutex_;
  std::exception_ptr error_;
  bool stopping_ = false;
  detail::Signal start_;
  detail::Signal finish_;
  alignas(64) std::atomic<std::size_t> pending_{0};
  std::vector<std::thread> threads_;
};

/// The process's pool of that many threads, made at its first use. Pools are
/// never destroyed: at exit a thread may still be in one.
[[nodiscard]] ThreadPool& shared_pool(std::size_t threads);

}  // namespace muonlab::core
