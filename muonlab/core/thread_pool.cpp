#include "muonlab/core/thread_pool.h"

#include <chrono>
#include <map>
#include <memory>
#include <system_error>
#include <utility>

#include "muonlab/core/error.h"

namespace muonlab::core {

namespace {

// Longer than the serial stretches between a step's kernels, shorter than what
// a neighbour on the machine would notice.
constexpr std::chrono::microseconds kSpin{30};

void pause() noexcept {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#else
  std::this_thread::yield();
#endif
}

bool has_a_core_each(std::size_t threads) {
  return threads <= std::thread::hardware_concurrency();
}

// Whether this thread is inside a body of any pool.
thread_local bool inside_body = false;

}  // namespace

namespace detail {

// Either the waiter sees the new value or this thread sees the waiter: each
// writes first and reads the other's after, all sequentially consistent.
void Signal::advance() noexcept {
  value_.fetch_add(1);
  if (sleepers_.load() == 0) return;
  // A waiter between its last look and its sleep holds the mutex.
  {
    const std::lock_guard lock(mutex_);
  }
  changed_.notify_all();
}

void Signal::wait_past(std::uint32_t old) noexcept {
  if (spin_) {
    const auto end = std::chrono::steady_clock::now() + kSpin;
    do {
      for (int i = 0; i < 16; ++i) {
        if (value_.load(std::memory_order_acquire) != old) return;
        pause();
      }
    } while (std::chrono::steady_clock::now() < end);
  }
  std::unique_lock lock(mutex_);
  sleepers_.fetch_add(1);
  changed_.wait(lock, [&] { return value_.load() != old; });
  sleepers_.fetch_sub(1);
}

}  // namespace detail

Barrier::Barrier(std::size_t size)
    : size_(size), phase_(has_a_core_each(size)) {
  MUONLAB_CHECK(size > 0, "barrier size: got 0, expected at least 1");
}

void Barrier::wait() noexcept {
  if (size_ == 1) return;
  // Before arriving: once the last has arrived the phase may move on.
  const std::uint32_t phase = phase_.value();
  if (arrived_.fetch_add(1) + 1 == size_) {
    arrived_.store(0);
    phase_.advance();
  } else {
    phase_.wait_past(phase);
  }
}

ThreadPool::ThreadPool(std::size_t threads)
    : size_(threads),
      start_(has_a_core_each(threads)),
      finish_(has_a_core_each(threads)) {
  MUONLAB_CHECK(threads > 0, "threads: got 0, expected at least 1");
  try {
    for (std::size_t rank = 1; rank < threads; ++rank) {
      threads_.emplace_back([this, rank] { work(rank); });
    }
  } catch (const std::system_error& error) {
    const std::size_t started = threads_.size() + 1;
    stop();
    throw Error(ErrorKind::kUnsupported,
                concat("threads: got ", threads, ", and the system gave ",
                       started, ": ", error.what()),
                "ask for fewer threads, or raise the limit (ulimit -u)");
  }
}

ThreadPool::~ThreadPool() { stop(); }

void ThreadPool::stop() noexcept {
  stopping_ = true;
  start_.advance();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

void ThreadPool::work(std::size_t rank) {
  // From 0, and not from the value now: the first job may be out already.
  for (std::uint32_t seen = 0;; ++seen) {
    start_.wait_past(seen);
    if (stopping_) return;
    run_rank(rank);
    if (pending_.fetch_sub(1) == 1) finish_.advance();
  }
}

void ThreadPool::run_rank(std::size_t rank) noexcept {
  inside_body = true;
  try {
    (*body_)(rank);
  } catch (...) {
    const std::lock_guard lock(error_mutex_);
    if (!error_) error_ = std::current_exception();
  }
  inside_body = false;
}

void ThreadPool::run(const std::function<void(std::size_t)>& body) {
  if (inside_body) {
    throw Error(ErrorKind::kInternal,
                "thread pool: run() was called from inside a body");
  }
  const std::lock_guard turn(turn_);
  body_ = &body;
  error_ = nullptr;
  const std::uint32_t finished = finish_.value();
  if (size_ > 1) {
    pending_.store(size_ - 1);
    start_.advance();
  }
  run_rank(0);
  if (size_ > 1) finish_.wait_past(finished);
  if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
}

ThreadPool& shared_pool(std::size_t threads) {
  static std::mutex mutex;
  // Never freed, on purpose: see the header.
  static auto& pools = *new std::map<std::size_t, std::unique_ptr<ThreadPool>>;
  const std::lock_guard lock(mutex);
  std::unique_ptr<ThreadPool>& pool = pools[threads];
  if (!pool) pool = std::make_unique<ThreadPool>(threads);
  return *pool;
}

}  // namespace muonlab::core
