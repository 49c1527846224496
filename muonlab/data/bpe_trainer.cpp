#include "muonlab/data/bpe_trainer.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <limits>
#include <queue>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "muonlab/core/error.h"
#include "muonlab/data/byte_level.h"
#include "muonlab/data/pretokenize.h"

namespace muonlab::data {

namespace {

using Pair = std::pair<std::int32_t, std::int32_t>;

struct PairHash {
  std::size_t operator()(const Pair& pair) const {
    const auto key =
        (static_cast<std::uint64_t>(static_cast<std::uint32_t>(pair.first))
         << 32) |
        static_cast<std::uint32_t>(pair.second);
    return static_cast<std::size_t>((key * 0x9E3779B97F4A7C15U) >> 16);
  }
};

struct Word {
  std::vector<std::int32_t> ids;
  std::int64_t count = 0;
};

struct PairStatistics {
  std::int64_t count = 0;
  // Words that hold the pair or once held it, perhaps more than once.
  std::vector<std::uint32_t> words;
};

struct Candidate {
  std::int64_t count;
  Pair pair;
  // For a max-heap: the best candidate is the largest.
  bool operator<(const Candidate& other) const {
    if (count != other.count) return count < other.count;
    return pair > other.pair;
  }
};

std::vector<Word> count_words(std::span<const std::string_view> documents) {
  std::unordered_map<std::string_view, std::int64_t> counts;
  const Pretokenizer pretokenizer;
  for (const std::string_view document : documents) {
    pretokenizer.split(document,
                       [&](std::string_view piece) { ++counts[piece]; });
  }
  std::array<std::int32_t, 256> id_of_byte{};
  for (std::size_t i = 0; i < 256; ++i) {
    id_of_byte[byte_level_order()[i]] = static_cast<std::int32_t>(i);
  }
  std::vector<Word> words;
  words.reserve(counts.size());
  for (const auto& [piece, count] : counts) {
    Word word;
    word.count = count;
    word.ids.reserve(piece.size());
    for (const char c : piece) {
      word.ids.push_back(id_of_byte[static_cast<unsigned char>(c)]);
    }
    words.push_back(std::move(word));
  }
  return words;
}

// Counts of all pairs, kept exact while words change.
class PairTable {
 public:
  explicit PairTable(std::vector<Word> words) : words_(std::move(words)) {
    for (std::uint32_t i = 0; i < words_.size(); ++i) {
      const std::vector<std::int32_t>& ids = words_[i].ids;
      for (std::size_t k = 0; k + 1 < ids.size(); ++k) {
        add(i, {ids[k], ids[k + 1]});
      }
    }
    queue_changed();
  }

  // The pair to merge next; false when there is none.
  bool best(Pair& pair) {
    while (!heap_.empty()) {
      const Candidate top = heap_.top();
      const std::int64_t count = table_[top.pair].count;
      if (count == top.count && count > 0) {
        pair = top.pair;
        return true;
      }
      // A count that fell since it was queued; one that rose was queued anew.
      heap_.pop();
      if (count > 0 && count < top.count) heap_.push({count, top.pair});
    }
    return false;
  }

  void merge(const Pair& pair, std::int32_t result) {
    const std::vector<std::uint32_t> holders = std::move(table_[pair].words);
    for (const std::uint32_t i : holders) replace(i, pair, result);
    // Overlaps ("aaa" holds (a, a) twice) make single subtractions inexact.
    table_[pair] = {};
    queue_changed();
  }

 private:
  // Rewrites word i from left to right, so "aaa" with (a, a) becomes "aa" "a",
  // and counts only the pairs around each place: words can be long.
  void replace(std::uint32_t i, const Pair& pair, std::int32_t result) {
    std::vector<std::int32_t>& ids = words_[i].ids;
    std::size_t out = 0;
    for (std::size_t k = 0; k < ids.size(); ++k) {
      if (k + 1 == ids.size() || ids[k] != pair.first ||
          ids[k + 1] != pair.second) {
        ids[out++] = ids[k];
        continue;
      }
      if (out > 0) {
        remove(i, {ids[out - 1], pair.first});
        add(i, {ids[out - 1], result});
      }
      if (k + 2 < ids.size()) {
        remove(i, {pair.second, ids[k + 2]});
        add(i, {result, ids[k + 2]});
      }
      ids[out++] = result;
      ++k;
    }
    ids.resize(out);
  }

  void remove(std::uint32_t i, const Pair& pair) {
    table_[pair].count -= words_[i].count;
  }

  void add(std::uint32_t i, const Pair& pair) {
    PairStatistics& statistics = table_[pair];
    statistics.count += words_[i].count;
    if (statistics.words.empty() || statistics.words.back() != i) {
      statistics.words.push_back(i);
    }
    changed_.push_back(pair);
  }

  void queue_changed() {
    std::sort(changed_.begin(), changed_.end());
    changed_.erase(std::unique(changed_.begin(), changed_.end()),
                   changed_.end());
    for (const Pair& pair : changed_) heap_.push({table_[pair].count, pair});
    changed_.clear();
  }

  std::vector<Word> words_;
  std::unordered_map<Pair, PairStatistics, PairHash> table_;
  std::priority_queue<Candidate> heap_;
  std::vector<Pair> changed_;
};

}  // namespace

BpeModel train_bpe(std::span<const std::string_view> documents,
                   std::int64_t vocabulary) {
  MUONLAB_CHECK(vocabulary >= 257 &&
                    vocabulary <= std::numeric_limits<std::int32_t>::max(),
                "bpe: vocabulary: got ", vocabulary,
                ", expected 257 (256 bytes and the separator) or more");
  const auto wanted = static_cast<std::size_t>(vocabulary - 1);
  BpeModel model;
  std::unordered_map<std::string, std::int32_t> id_of_token;
  for (const std::uint8_t byte : byte_level_order()) {
    id_of_token.emplace(std::string(1, static_cast<char>(byte)),
                        static_cast<std::int32_t>(model.tokens.size()));
    model.tokens.emplace_back(1, static_cast<char>(byte));
  }
  PairTable table(count_words(documents));
  std::unordered_set<Pair, PairHash> merged;
  Pair pair;
  while (model.tokens.size() < wanted) {
    if (!table.best(pair)) {
      throw Error(ErrorKind::kInvalidArgument,
                  concat("bpe: vocabulary: got ", vocabulary,
                         ", expected at most ", model.tokens.size() + 1,
                         " for this text: it has no more pairs to merge"),
                  "ask for a smaller vocabulary, or train on more text");
    }
    const auto [left, right] = pair;
    std::string bytes = model.tokens[static_cast<std::size_t>(left)] +
                        model.tokens[static_cast<std::size_t>(right)];
    const auto [entry, is_new] = id_of_token.emplace(
        bytes, static_cast<std::int32_t>(model.tokens.size()));
    if (is_new) model.tokens.push_back(std::move(bytes));
    // A pair can come back once its second half is spelled in another way; the
    // rule that it has from the first time then covers it.
    if (merged.insert(pair).second) {
      model.merges.push_back({left, right, entry->second});
    }
    table.merge(pair, entry->second);
  }
  return model;
}

}  // namespace muonlab::data
