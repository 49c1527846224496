// Reading and writing files so that a fault never costs what was saved before.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>

namespace muonlab::core {

/// The whole file as bytes. Throws Error(kIo) when it cannot be read.
[[nodiscard]] std::string read_file(const std::filesystem::path& path);

/// Writes a file under a temporary name in the same folder, then fsync and
/// rename: readers see the old file or the whole new one. Throws Error(kIo);
/// the old file, if any, is then untouched.
void write_file(const std::filesystem::path& path, std::string_view bytes);

/// Creates the folder and its parents. Throws Error(kIo).
void make_folder(const std::filesystem::path& path);

/// Throws Error(kIo) unless a file can be created, written and removed in
/// `folder`; done before a run so that it does not fail at its end.
void check_writable(const std::filesystem::path& folder);

/// A file that is written piece by piece and appears under its name only when
/// `commit()` succeeds. Not thread-safe.
class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path path);
  ~AtomicFile();  ///< removes the temporary file when not committed
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(const void* bytes, std::size_t size);
  void write(std::string_view bytes) { write(bytes.data(), bytes.size()); }
  /// Bytes written so far.
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  void commit();

 private:
  std::filesystem::path path_;
  std::filesystem::path temporary_;
  int descriptor_ = -1;
  std::size_t size_ = 0;
};

/// A text log: every line reaches the kernel whole before `line` returns.
class LineLog {
 public:
  /// Opens for appending; `truncate` starts an empty file.
  explicit LineLog(std::filesystem::path path, bool truncate = false);
  ~LineLog();
  LineLog(const LineLog&) = delete;
  LineLog& operator=(const LineLog&) = delete;

  /// Writes `text` and a newline. Throws Error(kIo), disk full included.
  void line(std::string_view text);

 private:
  std::filesystem::path path_;
  int descriptor_ = -1;
};

}  // namespace muonlab::core
