// SIGINT and SIGTERM as a question that loops ask between steps.
#pragma once

namespace muonlab::train {

/// Catches SIGINT and SIGTERM while it lives; a second signal ends the program
/// at once. One at a time.
class InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;
};

/// True once a signal has come.
[[nodiscard]] bool interrupted() noexcept;

}  // namespace muonlab::train
