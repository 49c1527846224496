// A prepared dataset: a folder with token shards, the tokenizer that made them
// and the sidecar dataset.json that says what they are.
//
//   dataset.json  tokenizer.json
//   train_000000.bin  selection_000000.bin  reporting_000000.bin  ...
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "muonlab/data/split.h"
#include "muonlab/data/tokenizer.h"
#include "muonlab/data/window_split.h"

namespace muonlab::data {

inline constexpr int kDatasetSchema = 1;
inline constexpr const char* kSidecarName = "dataset.json";
inline constexpr const char* kTokenizerName = "tokenizer.json";

struct ShardInfo {
  std::string file;  ///< name inside the folder
  std::int64_t n_tokens = 0;
  std::string sha256;  ///< of the file
};

struct SplitInfo {
  std::int64_t n_tokens = 0;  ///< separators included
  std::int64_t n_documents = 0;
  std::int64_t bytes = 0;  ///< of text; separators stand for none
  std::vector<ShardInfo> shards;
};

/// What `prepare` was told to take of the corpus, and what that left out.
struct Cut {
  bool separators = true;               ///< one before each document
  std::int64_t documents = 0;           ///< at most so many, the first; 0: all
  std::int64_t characters = 0;          ///< of each document, the first; 0: all
  std::int64_t tokens = 0;              ///< of the stream, the first; 0: all
  std::int64_t dropped_documents = 0;   ///< of which no token is left
  std::int64_t dropped_characters = 0;  ///< beyond `characters`
  std::int64_t dropped_tokens = 0;      ///< beyond `tokens`

  bool operator==(const Cut&) const = default;
  /// The same settings, whatever they led to.
  [[nodiscard]] bool same_settings(const Cut& other) const;
};

struct DatasetInfo {
  int schema = kDatasetSchema;
  std::string corpus_name;
  /// Of all texts, as cut by characters: whatever their order, but where the
  /// split is by windows in their order.
  std::string corpus_hash;
  std::string tokenizer_kind;        ///< "bytes" or "bpe"
  std::string tokenizer_hash;        ///< `Tokenizer::hash()`
  bool tokenizer_from_file = false;  ///< and not made from the corpus
  std::int64_t vocabulary = 0;       ///< bytes, merged tokens and the separator
  /// `SplitRule::text()` or `WindowRule::text()`.
  std::string split_rule;
  Cut cut;
  std::array<SplitInfo, 3> splits;          ///< in the order of `kSplits`
  std::int64_t empty_documents = 0;         ///< left out
  std::int64_t invalid_utf8_documents = 0;  ///< kept as bytes
  std::int64_t duplicate_documents = 0;     ///< kept; copies of an earlier one
  /// Identifies the dataset: SHA-256 over tokenizer hash, split rule and every
  /// split's counts and shards. Names and the other counts do not enter.
  std::string hash;

  /// All tokens are one stream, the split `kTrain`; `window_split` says which
  /// of its windows are held out, and the other two splits are empty.
  [[nodiscard]] bool split_by_windows() const;
  /// Those windows, of `context` tokens. Throws Error(kInvalidArgument) for a
  /// dataset split by documents.
  [[nodiscard]] WindowSplit windows(std::int64_t context) const;

  [[nodiscard]] const SplitInfo& split(Split which) const {
    return splits[static_cast<std::size_t>(which)];
  }
  [[nodiscard]] SplitInfo& split(Split which) {
    return splits[static_cast<std::size_t>(which)];
  }
};

/// What `DatasetInfo::hash` must be for the other fields.
[[nodiscard]] std::string dataset_hash(const DatasetInfo& info);

/// The sidecar as JSON text.
[[nodiscard]] std::string to_json(const DatasetInfo& info);

/// Reads folder/dataset.json alone, with no look at the shards. Throws
/// Error(kIo) when it is missing and kCorruptData, with file and field, when it
/// is not what `to_json` writes or its hash does not fit.
[[nodiscard]] DatasetInfo read_sidecar(const std::filesystem::path& folder);

/// A whole dataset in memory, four bytes per token. Immutable and thread-safe.
class Dataset {
 public:
  /// Reads everything and checks it: sidecar, tokenizer hash, and of each shard
  /// header, size, ids and SHA-256. Throws Error(kIo, kCorruptData) that names
  /// the file, the byte offset where there is one, and the remedy.
  [[nodiscard]] static Dataset open(const std::filesystem::path& folder);

  [[nodiscard]] const DatasetInfo& info() const { return info_; }
  /// Shared with whoever samples or evaluates after the dataset is gone.
  [[nodiscard]] std::shared_ptr<const Tokenizer> tokenizer() const {
    return tokenizer_;
  }
  /// All tokens of a split, shard after shard; each document starts with the
  /// separator, unless the dataset was made without (`Cut::separators`).
  [[nodiscard]] const std::vector<std::int32_t>& tokens(Split split) const {
    return tokens_[static_cast<std::size_t>(split)];
  }
  [[nodiscard]] const std::string& hash() const { return info_.hash; }

 private:
  Dataset() = default;

  DatasetInfo info_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  std::array<std::vector<std::int32_t>, 3> tokens_;
};

}  // namespace muonlab::data
