#include "muonlab/core/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <thread>

#include "muonlab/core/error.h"

namespace muonlab::core {

namespace {
constexpr auto kPause = std::chrono::milliseconds(100);
}

FileLock::FileLock(const std::filesystem::path& folder,
                   std::chrono::milliseconds patience, const char* busy) {
  const auto name = folder / ".lock";
  descriptor_ = ::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (descriptor_ < 0) throw_io_error(name, "cannot create", errno);
  const auto end = std::chrono::steady_clock::now() + patience;
  while (::flock(descriptor_, LOCK_EX | LOCK_NB) != 0) {
    const int reason = errno;
    if (reason == EINTR) continue;
    if (reason == EWOULDBLOCK && std::chrono::steady_clock::now() < end) {
      std::this_thread::sleep_for(kPause);
      continue;
    }
    ::close(descriptor_);
    if (reason != EWOULDBLOCK) throw_io_error(name, "cannot lock", reason);
    throw Error(ErrorKind::kIo, concat(folder.string(), ": ", busy),
                "wait for it, or choose another folder with --out");
  }
}

FileLock::~FileLock() { ::close(descriptor_); }

}  // namespace muonlab::core
