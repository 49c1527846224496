// Runs of our own program, side by side, each in a process of its own.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace muonlab::study {

struct Process {
  std::size_t ticket = 0;              ///< the caller's own number
  std::vector<std::string> arguments;  ///< after the program's name
  std::filesystem::path output;        ///< stdout and stderr go there
  std::int64_t threads = 1;            ///< that it may use
};

struct Ended {
  std::size_t ticket = 0;
  int exit_code = 0;  ///< 128 + signal when a signal ended it
};

/// Starts processes of this very program (/proc/self/exe) by posix_spawn, with
/// OMP_NUM_THREADS and MKL_NUM_THREADS as many as the process may use and
/// OMP_WAIT_POLICY=passive in the child's environment: OpenMP's idle threads
/// must not spin on cores that others need. Not thread-safe.
class ProcessPool {
 public:
  ProcessPool() = default;
  ~ProcessPool();  ///< asks the children to end, and waits for them
  ProcessPool(const ProcessPool&) = delete;
  ProcessPool& operator=(const ProcessPool&) = delete;

  /// Throws Error(kIo) when the output file cannot be made or the program
  /// cannot be started.
  void start(const Process& process);
  [[nodiscard]] std::size_t running() const { return children_.size(); }
  /// The next child that has ended, if any has; does not wait.
  [[nodiscard]] std::optional<Ended> poll();
  /// SIGTERM to all children.
  void terminate();
  /// SIGTERM to one, if it runs.
  void terminate(std::size_t ticket);

 private:
  std::map<pid_t, std::size_t> children_;
};

}  // namespace muonlab::study
