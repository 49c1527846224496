#include <unistd.h>

#include <algorithm>
#include <span>
#include <string>
#include <system_error>
#include <utility>

#include "muonlab/core/error.h"
#include "muonlab/core/files.h"
#include "muonlab/data/dataset_writer_internal.h"
#include "muonlab/data/shard.h"

namespace muonlab::data {

namespace fs = std::filesystem;

namespace {

void move(const fs::path& from, const fs::path& to) {
  std::error_code code;
  fs::rename(from, to, code);
  if (code) throw_io_error(from, "cannot move aside", code.value());
}

}  // namespace

PendingFolder::PendingFolder(fs::path out) : out_(std::move(out)) {
  // "shelf/books/" would otherwise name a folder inside itself.
  out_ = fs::absolute(out_).lexically_normal();
  if (!out_.has_filename()) out_ = out_.parent_path();
  pending_ = sibling(".partial.");
  std::error_code ignored;
  fs::remove_all(pending_, ignored);  // of a killed process with our number
  core::make_folder(pending_);
}

PendingFolder::~PendingFolder() {
  std::error_code ignored;
  fs::remove_all(pending_, ignored);
}

void PendingFolder::commit() {
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

fs::path PendingFolder::sibling(std::string_view suffix) const {
  return out_.parent_path() /
         concat(".", out_.filename().string(), suffix, ::getpid());
}

SplitWriter::SplitWriter(fs::path folder, Split which,
                         const Tokenizer& tokenizer,
                         const SplitWriterOptions& options)
    : folder_(std::move(folder)),
      which_(which),
      tokenizer_(tokenizer),
      options_(options) {}

void SplitWriter::add(std::string_view document) {
  std::vector<std::int32_t> ids;
  if (options_.separators) ids.push_back(tokenizer_.separator());
  const auto text_ids = tokenizer_.encode(document);
  ids.insert(ids.end(), text_ids.begin(), text_ids.end());
  if (options_.max_tokens > 0) {
    const auto room = static_cast<std::size_t>(
        options_.max_tokens - split_.n_tokens - std::ssize(buffer_));
    if (ids.size() > room) {
      dropped_ += static_cast<std::int64_t>(ids.size() - room);
      ids.resize(room);
    }
  }
  if (ids.empty()) return;
  ++split_.n_documents;
  for (const std::int32_t id : ids) split_.bytes += tokenizer_.token_bytes(id);
  buffer_.insert(buffer_.end(), ids.begin(), ids.end());
  const auto limit = static_cast<std::size_t>(options_.tokens_per_shard);
  while (buffer_.size() >= limit) flush(limit);
}

SplitInfo SplitWriter::finish() {
  if (!buffer_.empty()) flush(buffer_.size());
  return std::move(split_);
}

void SplitWriter::flush(std::size_t count) {
  std::string number = std::to_string(split_.shards.size());
  number.insert(0, number.size() < 6 ? 6 - number.size() : 0, '0');
  ShardInfo shard;
  shard.file = concat(name_of(which_), "_", number, ".bin");
  shard.n_tokens = static_cast<std::int64_t>(count);
  shard.sha256 =
      write_shard(folder_ / shard.file, std::span(buffer_).first(count),
                  tokenizer_.vocabulary_size());
  split_.shards.push_back(std::move(shard));
  split_.n_tokens += static_cast<std::int64_t>(count);
  buffer_.erase(buffer_.begin(),
                buffer_.begin() + static_cast<std::ptrdiff_t>(count));
}

}  // namespace muonlab::data
