#include "muonlab/data/prepare.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <limits>
#include <memory>
#include <span>
#include <system_error>
#include <utility>
#include <vector>

#include "muonlab/core/error.h"
#include "muonlab/core/files.h"
#include "muonlab/core/hash.h"
#include "muonlab/core/text.h"
#include "muonlab/data/bpe_tokenizer.h"
#include "muonlab/data/bpe_trainer.h"
#include "muonlab/data/byte_tokenizer.h"
#include "muonlab/data/corpus.h"
#include "muonlab/data/shard.h"
#include "muonlab/data/split.h"

namespace muonlab::data {

namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kByteVocabulary = 257;

struct HashedDocument {
  Digest digest;
  std::string_view text;
};

using SplitDocuments = std::array<std::vector<HashedDocument>, 3>;

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start)
      .count();
}

void validate(const PrepareOptions& options) {
  MUONLAB_CHECK(!options.out.empty(),
                "data prepare: out: got an empty path, expected a folder");
  MUONLAB_CHECK(options.tokenizer == TokenizerKind::kBytes ||
                    options.vocabulary >= kByteVocabulary,
                "data prepare: vocabulary: got ", options.vocabulary,
                ", expected 257 (256 bytes and the separator) or more");
  MUONLAB_CHECK(
      options.tokens_per_shard >= 1 &&
          options.tokens_per_shard <= std::numeric_limits<std::int32_t>::max(),
      "data prepare: tokens_per_shard: got ", options.tokens_per_shard,
      ", expected 1 to 2^31 - 1");
}

// Documents by split, each list in the order of the digests; counts copies.
SplitDocuments assign(const Corpus& corpus, const SplitRule& rule,
                      DatasetInfo& info) {
  std::vector<HashedDocument> all;
  all.reserve(corpus.documents.size());
  for (const Document& document : corpus.documents) {
    all.push_back({SplitRule::digest(document.text), document.text});
  }
  std::sort(all.begin(), all.end(),
            [](const HashedDocument& a, const HashedDocument& b) {
              return a.digest < b.digest;
            });
  core::Sha256 corpus_hash;
  SplitDocuments splits;
  for (std::size_t i = 0; i < all.size(); ++i) {
    corpus_hash.update(all[i].digest.data(), all[i].digest.size());
    if (i > 0 && all[i].digest == all[i - 1].digest) {
      ++info.duplicate_documents;
    }
    const Split split = rule.of(all[i].digest);
    splits[static_cast<std::size_t>(split)].push_back(all[i]);
  }
  info.corpus_hash = corpus_hash.hex();
  return splits;
}

void check_splits(const SplitDocuments& splits, const PrepareOptions& options) {
  for (const Split split : kSplits) {
    if (!splits[static_cast<std::size_t>(split)].empty()) continue;
    throw Error(ErrorKind::kInvalidArgument,
                concat("data prepare: ", name_of(split),
                       " split: got 0 documents, expected at least 1"),
                concat(split == Split::kTrain
                           ? "give more documents, or hold out less than "
                           : "give more (perhaps shorter) documents, or hold "
                             "out more than ",
                       core::shortest(options.held_out), " with --held-out"));
  }
}

bool same_settings(const DatasetInfo& a, const DatasetInfo& b) {
  return a.corpus_hash == b.corpus_hash &&
         a.tokenizer_kind == b.tokenizer_kind && a.vocabulary == b.vocabulary &&
         a.split_rule == b.split_rule;
}

// True when `out` already is what was asked for; throws when it is in the way.
bool is_already_there(const PrepareOptions& options, DatasetInfo& wanted) {
  std::error_code code;
  const fs::path& out = options.out;
  if (!fs::exists(out, code)) return false;
  MUONLAB_CHECK(fs::is_directory(out, code), out.string(),
                ": got a file, expected a folder for the dataset");
  if (fs::is_empty(out, code)) return false;
  if (!fs::exists(out / kSidecarName, code)) {
    throw Error(ErrorKind::kInvalidArgument,
                concat(out.string(), ": got a folder without ", kSidecarName,
                       ", expected a dataset, an empty folder or none"),
                "choose another folder with --out; what is no dataset is not "
                "replaced, even with --force");
  }
  if (options.force) return false;
  const DatasetInfo found = read_sidecar(out);
  if (!same_settings(found, wanted)) {
    throw Error(ErrorKind::kInvalidArgument,
                concat(out.string(),
                       ": got a dataset of another corpus or other settings, "
                       "expected none"),
                "replace it with --force, or choose another folder with --out");
  }
  wanted = Dataset::open(out).info();  // throws when it is not whole
  return true;
}

std::shared_ptr<const Tokenizer> make_tokenizer(
    const PrepareOptions& options, std::span<const HashedDocument> train) {
  if (options.tokenizer == TokenizerKind::kBytes) {
    return std::make_shared<ByteTokenizer>();
  }
  std::vector<std::string_view> texts;
  for (const HashedDocument& document : train) texts.push_back(document.text);
  return std::make_shared<BpeTokenizer>(train_bpe(texts, options.vocabulary));
}

// Writes the shards of one split.
SplitInfo write_split(const fs::path& folder, Split which,
                      std::span<const HashedDocument> documents,
                      const Tokenizer& tokenizer,
                      std::int64_t tokens_per_shard) {
  SplitInfo split;
  std::vector<std::int32_t> buffer;
  const auto flush = [&](std::size_t count) {
    std::string number = std::to_string(split.shards.size());
    number.insert(0, number.size() < 6 ? 6 - number.size() : 0, '0');
    ShardInfo shard;
    shard.file = concat(name_of(which), "_", number, ".bin");
    shard.n_tokens = static_cast<std::int64_t>(count);
    shard.sha256 =
        write_shard(folder / shard.file, std::span(buffer).first(count),
                    tokenizer.vocabulary_size());
    split.shards.push_back(std::move(shard));
    split.n_tokens += static_cast<std::int64_t>(count);
    buffer.erase(buffer.begin(),
                 buffer.begin() + static_cast<std::ptrdiff_t>(count));
  };
  const auto limit = static_cast<std::size_t>(tokens_per_shard);
  for (const HashedDocument& document : documents) {
    buffer.push_back(tokenizer.separator());
    const auto ids = tokenizer.encode(document.text);
    buffer.insert(buffer.end(), ids.begin(), ids.end());
    ++split.n_documents;
    split.bytes += static_cast<std::int64_t>(document.text.size());
    while (buffer.size() >= limit) flush(limit);
  }
  if (!buffer.empty()) flush(buffer.size());
  return split;
}

// A folder beside `out` that takes its name on commit and else disappears.
class PendingFolder {
 public:
  explicit PendingFolder(fs::path out) : out_(std::move(out)) {
    // "shelf/books/" would otherwise name a folder inside itself.
    out_ = fs::absolute(out_).lexically_normal();
    if (!out_.has_filename()) out_ = out_.parent_path();
    pending_ = sibling(".partial.");
    std::error_code ignored;
    fs::remove_all(pending_, ignored);  // of a killed process with our number
    core::make_folder(pending_);
  }
  ~PendingFolder() {
    std::error_code ignored;
    fs::remove_all(pending_, ignored);
  }
  PendingFolder(const PendingFolder&) = delete;
  PendingFolder& operator=(const PendingFolder&) = delete;

  [[nodiscard]] const fs::path& path() const { return pending_; }

  void commit() {
    std::error_code code;
    const fs::path old = sibling(".replaced.");
    const bool replaces = fs::exists(out_, code);
    if (replaces) move(out_, old);
    fs::rename(pending_, out_, code);
    if (code) {
      std::error_code ignored;
      if (replaces) fs::rename(old, out_, ignored);
      throw_io_error(out_, "cannot put the finished dataset in place",
                     code.value());
    }
    if (replaces) fs::remove_all(old, code);
  }

 private:
  [[nodiscard]] fs::path sibling(std::string_view suffix) const {
    return out_.parent_path() /
           concat(".", out_.filename().string(), suffix, ::getpid());
  }

  static void move(const fs::path& from, const fs::path& to) {
    std::error_code code;
    fs::rename(from, to, code);
    if (code) throw_io_error(from, "cannot move aside", code.value());
  }

  fs::path out_;
  fs::path pending_;
};

}  // namespace

PrepareReport prepare(const PrepareOptions& options) {
  validate(options);
  const SplitRule rule(options.held_out);
  const auto say = [&options](const std::string& line) {
    if (options.progress) options.progress(line);
  };
  const Corpus corpus = read_documents(options.corpus);
  say(concat("read ", core::grouped(std::ssize(corpus.documents)),
             " documents, ",
             core::byte_size(static_cast<double>(corpus.bytes()))));

  PrepareReport report;
  DatasetInfo& info = report.info;
  const bool bpe = options.tokenizer == TokenizerKind::kBpe;
  info.corpus_name = corpus.name;
  info.tokenizer_kind = bpe ? "bpe" : "bytes";
  info.vocabulary = bpe ? options.vocabulary : kByteVocabulary;
  info.split_rule = rule.text();
  info.empty_documents = corpus.empty_documents;
  info.invalid_utf8_documents = corpus.invalid_utf8_documents;
  const SplitDocuments splits = assign(corpus, rule, info);
  check_splits(splits, options);
  if (is_already_there(options, info)) {
    report.already_there = true;
    return report;
  }

  // Before the long part, so that an unwritable place fails at once.
  PendingFolder folder(options.out);
  const auto start = std::chrono::steady_clock::now();
  if (bpe) say(concat("training a BPE of ", options.vocabulary, " tokens"));
  const auto tokenizer = make_tokenizer(options, splits[0]);
  report.training_seconds = seconds_since(start);
  info.tokenizer_hash = tokenizer->hash();
  tokenizer->save(folder.path() / kTokenizerName);

  say("encoding");
  const auto encoding_start = std::chrono::steady_clock::now();
  for (const Split split : kSplits) {
    info.split(split) = write_split(folder.path(), split,
                                    splits[static_cast<std::size_t>(split)],
                                    *tokenizer, options.tokens_per_shard);
  }
  report.encoding_seconds = seconds_since(encoding_start);
  info.hash = dataset_hash(info);
  core::write_file(folder.path() / kSidecarName, to_json(info));
  folder.commit();
  return report;
}

}  // namespace muonlab::data
