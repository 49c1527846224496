#include "muonlab/data/dataset.h"

#include <utility>

#include "muonlab/core/error.h"
#include "muonlab/core/files.h"
#include "muonlab/core/hash.h"
#include "muonlab/data/shard.h"

namespace muonlab::data {

namespace {

[[noreturn]] void corrupt(const std::filesystem::path& path,
                          const std::string& what) {
  throw Error(ErrorKind::kCorruptData, concat(path.string(), ": ", what),
              "the file was changed after it was written: prepare the data "
              "again with `muonlab data prepare CORPUS --out DIR --force`");
}

std::shared_ptr<const Tokenizer> open_tokenizer(
    const std::filesystem::path& folder, const DatasetInfo& info) {
  const auto path = folder / kTokenizerName;
  auto tokenizer = load_tokenizer(path);
  if (tokenizer->vocabulary_size() != info.vocabulary) {
    corrupt(path,
            concat("vocabulary: got ", tokenizer->vocabulary_size(),
                   ", expected ", info.vocabulary, " as in ", kSidecarName));
  }
  if (tokenizer->hash() != info.tokenizer_hash) {
    corrupt(path, concat("hash: got ", tokenizer->hash(), ", expected ",
                         info.tokenizer_hash, " as in ", kSidecarName));
  }
  return tokenizer;
}

void append_shard(const std::filesystem::path& path, const ShardInfo& shard,
                  std::int64_t vocabulary, std::vector<std::int32_t>& tokens) {
  const std::string bytes = core::read_file(path);
  const ShardHeader header = check_shard(bytes, path);
  if (header.n_tokens != shard.n_tokens) {
    corrupt(path,
            concat("byte 8: number of tokens: got ", header.n_tokens,
                   ", expected ", shard.n_tokens, " as in ", kSidecarName));
  }
  const std::vector<std::int32_t> ids = decode_shard(bytes, path, vocabulary);
  // Last, because the checks above can say where the damage is.
  const std::string hash = core::sha256_hex(bytes);
  if (hash != shard.sha256) {
    corrupt(path,
            concat("bytes 0 to ", bytes.size() - 1, ": sha256: got ", hash,
                   ", expected ", shard.sha256, " as in ", kSidecarName));
  }
  tokens.insert(tokens.end(), ids.begin(), ids.end());
}

}  // namespace

Dataset Dataset::open(const std::filesystem::path& folder) {
  Dataset dataset;
  dataset.info_ = read_sidecar(folder);
  const DatasetInfo& info = dataset.info_;
  dataset.tokenizer_ = open_tokenizer(folder, info);
  for (const Split which : kSplits) {
    const SplitInfo& split = info.split(which);
    auto& tokens = dataset.tokens_[static_cast<std::size_t>(which)];
    for (const ShardInfo& shard : split.shards) {
      append_shard(folder / shard.file, shard, info.vocabulary, tokens);
    }
    if (static_cast<std::int64_t>(tokens.size()) != split.n_tokens) {
      corrupt(folder / kSidecarName,
              concat("field 'splits.", name_of(which), ".n_tokens': got ",
                     split.n_tokens, ", expected ", tokens.size(),
                     " as in its shards"));
    }
  }
  return dataset;
}

WindowSplit DatasetInfo::windows(std::int64_t context) const {
  MUONLAB_CHECK(split_by_windows(), "dataset '", corpus_name, "': split by ",
                split_rule, ", expected a split by windows");
  const WindowRule rule = WindowRule::parse(split_rule);
  return window_split(split(Split::kTrain).n_tokens, context, rule.seed,
                      rule.held_out_share);
}

}  // namespace muonlab::data
