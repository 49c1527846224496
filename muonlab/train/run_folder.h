// The folder of one run: config.toml, config.json, env.json, metrics.jsonl,
// log.txt, model.safetensors, summary.json (conventions E.3 to E.5).
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "muonlab/core/file_lock.h"
#include "muonlab/core/files.h"
#include "muonlab/formats/json.h"
#include "muonlab/train/run_config.h"
#include "muonlab/train/summary.h"

namespace muonlab::train {

/// Holds the folder's lock while it lives: two runs never write into one.
class RunFolder {
 public:
  /// Creates the folder, checks that it can be written, and locks it. Throws
  /// Error(kIo); also when another process holds the lock after a short wait.
  explicit RunFolder(std::filesystem::path path);
  ~RunFolder();
  RunFolder(const RunFolder&) = delete;
  RunFolder& operator=(const RunFolder&) = delete;

  /// The summary of an earlier run here, if there is one.
  [[nodiscard]] std::optional<RunSummary> earlier() const;

  /// Puts an earlier run aside and writes config and env files. The destructor
  /// drops the earlier run if there is a new summary, and else brings it back:
  /// a fault (a full disk, say) costs nothing that was saved before.
  void begin(RunConfig config, const std::vector<std::string>& argv);

  /// One line of metrics.jsonl. Only after begin().
  void metric(const formats::Json& line);
  /// One line of log.txt.
  void log(std::string_view line);

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] std::filesystem::path summary_path() const {
    return path_ / "summary.json";
  }
  [[nodiscard]] std::filesystem::path weights_path() const {
    return path_ / "model.safetensors";
  }

 private:
  void settle();
  [[nodiscard]] std::filesystem::path aside() const {
    return path_ / "replaced";
  }

  std::filesystem::path path_;
  std::unique_ptr<core::FileLock> lock_;
  bool begun_ = false;
  std::unique_ptr<core::LineLog> metrics_;
  std::unique_ptr<core::LineLog> log_;
};

}  // namespace muonlab::train
