// Writing a dataset folder: the folder itself, and the shards of a split.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string_view>
#include <vector>

#include "muonlab/data/dataset.h"

namespace muonlab::data {

/// A folder beside `out` that takes its name on commit and else disappears.
class PendingFolder {
 public:
  explicit PendingFolder(std::filesystem::path out);
  ~PendingFolder();
  PendingFolder(const PendingFolder&) = delete;
  PendingFolder& operator=(const PendingFolder&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const { return pending_; }
  void commit();

 private:
  [[nodiscard]] std::filesystem::path sibling(std::string_view suffix) const;

  std::filesystem::path out_;
  std::filesystem::path pending_;
};

struct SplitWriterOptions {
  std::int64_t tokens_per_shard = 0;
  bool separators = true;
  std::int64_t max_tokens = 0;  ///< 0: no limit
};

/// Encodes documents and writes them as shards. What lies beyond the limit is
/// encoded, too: only so is it known how much that is.
class SplitWriter {
 public:
  SplitWriter(std::filesystem::path folder, Split which,
              const Tokenizer& tokenizer, const SplitWriterOptions& options);
  void add(std::string_view document);
  /// Writes the rest; nothing can be added any more.
  [[nodiscard]] SplitInfo finish();
  [[nodiscard]] std::int64_t dropped_tokens() const { return dropped_; }

 private:
  void flush(std::size_t count);

  std::filesystem::path folder_;
  Split which_;
  const Tokenizer& tokenizer_;
  SplitWriterOptions options_;
  std::vector<std::int32_t> buffer_;
  SplitInfo split_;
  std::int64_t dropped_ = 0;
};

}  // namespace muonlab::data
