#include "muonlab/core/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "muonlab/core/error.h"

namespace muonlab::core {

namespace {

void write_all(int descriptor, const std::filesystem::path& path,
               const char* bytes, std::size_t size) {
  while (size > 0) {
    const ssize_t n = ::write(descriptor, bytes, size);
    if (n < 0) {
      if (errno == EINTR) continue;
      throw_io_error(path, "cannot write", errno);
    }
    bytes += n;
    size -= static_cast<std::size_t>(n);
  }
}

}  // namespace

std::string read_file(const std::filesystem::path& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) throw_io_error(path, "cannot open", errno);
  struct stat status{};
  if (::fstat(descriptor, &status) == 0 && S_ISDIR(status.st_mode)) {
    ::close(descriptor);
    throw_io_error(path, "cannot read as a file", EISDIR);
  }
  std::string content;
  if (status.st_size > 0) {
    content.reserve(static_cast<std::size_t>(status.st_size));
  }
  char buffer[1 << 16];
  for (;;) {
    const ssize_t n = ::read(descriptor, buffer, sizeof buffer);
    if (n < 0) {
      if (errno == EINTR) continue;
      const int reason = errno;
      ::close(descriptor);
      throw_io_error(path, "cannot read", reason);
    }
    if (n == 0) break;
    content.append(buffer, static_cast<std::size_t>(n));
  }
  ::close(descriptor);
  return content;
}

void write_file(const std::filesystem::path& path, std::string_view bytes) {
  AtomicFile file(path);
  file.write(bytes);
  file.commit();
}

void make_folder(const std::filesystem::path& path) {
  if (path.empty()) return;
  std::error_code code;
  std::filesystem::create_directories(path, code);
  if (code) throw_io_error(path, "cannot create folder", code.value());
  if (!std::filesystem::is_directory(path, code)) {
    throw_io_error(path, "cannot use as a folder", ENOTDIR);
  }
}

void check_writable(const std::filesystem::path& folder) {
  make_folder(folder);
  const auto probe = folder / concat(".probe.", ::getpid());
  {
    AtomicFile file(probe);
    file.write("probe\n");
    file.commit();
  }
  std::error_code ignored;
  std::filesystem::remove(probe, ignored);
}

AtomicFile::AtomicFile(std::filesystem::path path) : path_(std::move(path)) {
  temporary_ = path_;
  temporary_ += concat(".tmp.", ::getpid());
  descriptor_ = ::open(temporary_.c_str(),
                       O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (descriptor_ < 0) throw_io_error(path_, "cannot create", errno);
}

AtomicFile::~AtomicFile() {
  if (descriptor_ >= 0) {
    ::close(descriptor_);
    ::unlink(temporary_.c_str());
  }
}

void AtomicFile::write(const void* bytes, std::size_t size) {
  write_all(descriptor_, path_, static_cast<const char*>(bytes), size);
  size_ += size;
}

void AtomicFile::commit() {
  if (::fsync(descriptor_) != 0) {
    throw_io_error(path_, "cannot flush to disk", errno);
  }
  // close() can report a delayed write error, so it comes before the rename.
  const int closed = ::close(std::exchange(descriptor_, -1));
  if (closed != 0 || ::rename(temporary_.c_str(), path_.c_str()) != 0) {
    const int reason = errno;
    ::unlink(temporary_.c_str());
    throw_io_error(path_, "cannot put the finished file in place", reason);
  }
}

LineLog::LineLog(std::filesystem::path path, bool truncate)
    : path_(std::move(path)) {
  const int flags =
      O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | (truncate ? O_TRUNC : 0);
  descriptor_ = ::open(path_.c_str(), flags, 0644);
  if (descriptor_ < 0) throw_io_error(path_, "cannot open for writing", errno);
}

LineLog::~LineLog() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void LineLog::line(std::string_view text) {
  std::string bytes(text);
  bytes.push_back('\n');
  write_all(descriptor_, path_, bytes.data(), bytes.size());
}

}  // namespace muonlab::core
