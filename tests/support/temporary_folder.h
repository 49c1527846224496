// A folder for one test's files.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace muonlab::testing {

/// An empty folder below the system's temporary folder; removed with all that
/// is in it when the object goes.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] std::filesystem::path operator/(std::string_view name) const {
    return path_ / name;
  }

 private:
  std::filesystem::path path_;
};

/// Writes a file and the folders above it, not atomically.
void write(const std::filesystem::path& path, std::string_view bytes);

}  // namespace muonlab::testing
