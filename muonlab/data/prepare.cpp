#include "muonlab/data/prepare.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <limits>
#include <memory>
#include <set>
#include <span>
#include <system_error>
#include <vector>

#include "muonlab/core/error.h"
#include "muonlab/core/files.h"
#include "muonlab/core/hash.h"
#include "muonlab/core/text.h"
#include "muonlab/data/bpe_tokenizer.h"
#include "muonlab/data/bpe_trainer.h"
#include "muonlab/data/byte_tokenizer.h"
#include "muonlab/data/corpus.h"
#include "muonlab/data/dataset_writer_internal.h"
#include "muonlab/data/split.h"
#include "muonlab/data/utf8.h"
#include "muonlab/data/window_split.h"

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
  MUONLAB_CHECK(options.tokenizer != TokenizerKind::kBpe ||
                    options.vocabulary >= kByteVocabulary,
                "data prepare: vocabulary: got ", options.vocabulary,
                ", expected 257 (256 bytes and the separator) or more");
  MUONLAB_CHECK(
      options.tokens_per_shard >= 1 &&
          options.tokens_per_shard <= std::numeric_limits<std::int32_t>::max(),
      "data prepare: tokens_per_shard: got ", options.tokens_per_shard,
      ", expected 1 to 2^31 - 1");
  MUONLAB_CHECK((options.tokenizer == TokenizerKind::kFile) ==
                    !options.tokenizer_file.empty(),
                "data prepare: tokenizer_file: got '",
                options.tokenizer_file.string(),
                "', expected one where, and only where, the tokenizer is to be "
                "read from a file");
  const auto check_limit = [](std::string_view name, std::int64_t value) {
    MUONLAB_CHECK(value >= 0, "data prepare: ", name, ": got ", value,
                  ", expected 1 or more, or 0 for all");
  };
  check_limit("documents", options.documents);
  check_limit("characters", options.characters);
  check_limit("tokens", options.tokens);
  if (options.tokens > 0 && options.split != SplitBy::kWindows) {
    throw Error(ErrorKind::kInvalidArgument,
                concat("data prepare: tokens: got ", options.tokens,
                       " with a split by documents, expected no limit, since "
                       "that makes three streams"),
                "limit --documents or --characters, or use --split windows");
  }
}

std::string split_rule_text(const PrepareOptions& options) {
  if (options.split == SplitBy::kDocuments) {
    return SplitRule(options.held_out).text();
  }
  WindowRule rule;
  rule.held_out_share = options.held_out;
  return rule.text();
}

// Leaves what the options take of the corpus.
Cut cut_corpus(Corpus& corpus, const PrepareOptions& options) {
  Cut cut{.separators = options.separators,
          .documents = options.documents,
          .characters = options.characters,
          .tokens = options.tokens};
  const std::int64_t present = std::ssize(corpus.documents);
  if (options.documents > 0 && options.documents < present) {
    cut.dropped_documents = present - options.documents;
    corpus.documents.resize(static_cast<std::size_t>(options.documents));
  }
  if (options.characters == 0) return cut;
  for (Document& document : corpus.documents) {
    const std::size_t kept = prefix_of_characters(
        document.text, static_cast<std::size_t>(options.characters));
    cut.dropped_characters += static_cast<std::int64_t>(
        count_characters(std::string_view(document.text).substr(kept)));
    document.text.resize(kept);
  }
  return cut;
}

// Documents by split, each list in the order of the digests, or all of them as
// the first list in their own order; counts copies.
SplitDocuments assign(const Corpus& corpus, const PrepareOptions& options,
                      DatasetInfo& info) {
  const bool by_windows = options.split == SplitBy::kWindows;
  std::vector<HashedDocument> all;
  std::set<Digest> seen;
  all.reserve(corpus.documents.size());
  for (const Document& document : corpus.documents) {
    all.push_back({SplitRule::digest(document.text), document.text});
    if (!seen.insert(all.back().digest).second) ++info.duplicate_documents;
  }
  if (!by_windows) {
    std::sort(all.begin(), all.end(),
              [](const HashedDocument& a, const HashedDocument& b) {
                return a.digest < b.digest;
              });
  }
  const SplitRule rule(options.held_out);
  core::Sha256 corpus_hash;
  SplitDocuments splits;
  for (const HashedDocument& document : all) {
    corpus_hash.update(document.digest.data(), document.digest.size());
    const Split split = by_windows ? Split::kTrain : rule.of(document.digest);
    splits[static_cast<std::size_t>(split)].push_back(document);
  }
  info.corpus_hash = corpus_hash.hex();
  return splits;
}

void check_splits(const SplitDocuments& splits, const PrepareOptions& options) {
  if (options.split == SplitBy::kWindows) return;
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

// `wanted` knows no hash of a tokenizer that has yet to be trained.
bool same_settings(const DatasetInfo& found, const DatasetInfo& wanted) {
  return found.corpus_hash == wanted.corpus_hash &&
         found.tokenizer_kind == wanted.tokenizer_kind &&
         found.vocabulary == wanted.vocabulary &&
         found.tokenizer_from_file == wanted.tokenizer_from_file &&
         (!wanted.tokenizer_from_file ||
          found.tokenizer_hash == wanted.tokenizer_hash) &&
         found.split_rule == wanted.split_rule &&
         found.cut.same_settings(wanted.cut);
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

// The tokenizer, if it does not have to be trained.
std::shared_ptr<const Tokenizer> ready_tokenizer(
    const PrepareOptions& options) {
  switch (options.tokenizer) {
    case TokenizerKind::kBytes:
      return std::make_shared<ByteTokenizer>();
    case TokenizerKind::kFile:
      return load_tokenizer(options.tokenizer_file);
    case TokenizerKind::kBpe:
      break;
  }
  return nullptr;
}

std::shared_ptr<const Tokenizer> train_tokenizer(
    const PrepareOptions& options, std::span<const HashedDocument> train) {
  std::vector<std::string_view> texts;
  for (const HashedDocument& document : train) texts.push_back(document.text);
  return std::make_shared<BpeTokenizer>(train_bpe(texts, options.vocabulary));
}

// Writes all shards; fills in the splits and what was cut off.
void write_splits(const SplitDocuments& documents, const Tokenizer& tokenizer,
                  const PrepareOptions& options, const fs::path& folder,
                  DatasetInfo& info) {
  for (const Split which : kSplits) {
    SplitWriter writer(folder, which, tokenizer,
                       {.tokens_per_shard = options.tokens_per_shard,
                        .separators = options.separators,
                        .max_tokens = options.tokens});
    const auto& list = documents[static_cast<std::size_t>(which)];
    for (const HashedDocument& document : list) writer.add(document.text);
    info.split(which) = writer.finish();
    info.cut.dropped_tokens += writer.dropped_tokens();
    info.cut.dropped_documents +=
        std::ssize(list) - info.split(which).n_documents;
  }
}

}  // namespace

PrepareReport prepare(const PrepareOptions& options) {
  validate(options);
  PrepareReport report;
  DatasetInfo& info = report.info;
  info.split_rule = split_rule_text(options);
  const auto say = [&options](const std::string& line) {
    if (options.progress) options.progress(line);
  };
  auto tokenizer = ready_tokenizer(options);
  Corpus corpus = read_documents(options.corpus);
  say(concat("read ", core::grouped(std::ssize(corpus.documents)),
             " documents, ",
             core::byte_size(static_cast<double>(corpus.bytes()))));

  info.corpus_name = corpus.name;
  info.tokenizer_kind = tokenizer ? tokenizer->kind() : "bpe";
  info.vocabulary =
      tokenizer ? tokenizer->vocabulary_size() : options.vocabulary;
  info.tokenizer_from_file = options.tokenizer == TokenizerKind::kFile;
  if (tokenizer) info.tokenizer_hash = tokenizer->hash();
  info.empty_documents = corpus.empty_documents;
  info.invalid_utf8_documents = corpus.invalid_utf8_documents;
  info.cut = cut_corpus(corpus, options);
  const SplitDocuments splits = assign(corpus, options, info);
  check_splits(splits, options);
  if (is_already_there(options, info)) {
    report.already_there = true;
    return report;
  }

  // Before the long part, so that an unwritable place fails at once.
  PendingFolder folder(options.out);
  const auto start = std::chrono::steady_clock::now();
  if (!tokenizer) {
    say(concat("training a BPE of ", options.vocabulary, " tokens"));
    tokenizer = train_tokenizer(options, splits[0]);
    info.tokenizer_hash = tokenizer->hash();
  }
  report.training_seconds = seconds_since(start);
  tokenizer->save(folder.path() / kTokenizerName);

  say("encoding");
  const auto encoding_start = std::chrono::steady_clock::now();
  write_splits(splits, *tokenizer, options, folder.path(), info);
  report.encoding_seconds = seconds_since(encoding_start);
  info.hash = dataset_hash(info);
  core::write_file(folder.path() / kSidecarName, to_json(info));
  folder.commit();
  return report;
}

}  // namespace muonlab::data
