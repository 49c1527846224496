// A lock on a folder between processes.
#pragma once

#include <chrono>
#include <filesystem>

namespace muonlab::core {

/// Holds `folder`/.lock (flock) while it lives; the kernel lets go of it when
/// the process ends, however it ends.
class FileLock {
 public:
  /// Waits at most `patience` for another process. Throws Error(kIo): `busy` is
  /// what the message says when another process keeps the lock.
  FileLock(const std::filesystem::path& folder,
           std::chrono::milliseconds patience, const char* busy);
  ~FileLock();
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

 private:
  int descriptor_ = -1;
};

}  // namespace muonlab::core
