#include "muonlab/data/bpe_tokenizer.h"

#include <algorithm>
#include <cstddef>
#include <functional>
#include <queue>
#include <tuple>
#include <utility>

#include "muonlab/core/error.h"
#include "muonlab/core/hash.h"
#include "muonlab/data/byte_level.h"

namespace muonlab::data {

namespace {

// Pieces up to this many bytes are merged by scanning them again and again,
// which beats a heap as long as they fit a few cache lines.
constexpr std::size_t kShortPiece = 64;

std::uint64_t key_of(std::int32_t left, std::int32_t right) {
  return (static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32) |
         static_cast<std::uint32_t>(right);
}

std::vector<std::string> with_separator(std::vector<std::string> tokens) {
  tokens.emplace_back();
  return tokens;
}

std::int32_t count_of(const BpeModel& model) {
  return static_cast<std::int32_t>(model.tokens.size());
}

}  // namespace

BpeTokenizer::BpeTokenizer(BpeModel model)
    : BpeTokenizer(with_separator(model.tokens), std::move(model.merges),
                   count_of(model)) {}

BpeTokenizer::BpeTokenizer(std::vector<std::string> tokens,
                           std::vector<BpeMerge> merges, std::int32_t separator,
                           PretokenizerKind pretokenizer)
    : pretokenizer_(pretokenizer), merges_(std::move(merges)) {
  const auto size = static_cast<std::int32_t>(tokens.size());
  MUONLAB_CHECK(separator >= 0 && separator < size, "bpe: separator: got id ",
                separator, ", expected 0 to ", size - 1);
  id_of_byte_.fill(-1);
  for (std::int32_t id = 0; id < size; ++id) {
    const std::string& bytes = tokens[static_cast<std::size_t>(id)];
    if (bytes.size() != 1 || id == separator) continue;
    id_of_byte_[static_cast<unsigned char>(bytes[0])] = id;
  }
  const auto in_range = [size](std::int32_t id) {
    return id >= 0 && id < size;
  };
  rules_.reserve(merges_.size());
  for (std::size_t i = 0; i < merges_.size(); ++i) {
    const auto [left, right, result] = merges_[i];
    MUONLAB_CHECK(in_range(left) && in_range(right) && in_range(result) &&
                      tokens[static_cast<std::size_t>(left)] +
                              tokens[static_cast<std::size_t>(right)] ==
                          tokens[static_cast<std::size_t>(result)],
                  "bpe: merge ", i, ": got (", left, ", ", right, ") to ",
                  result, ", expected ids whose bytes add up");
    rules_.emplace(key_of(left, right),
                   Rule{static_cast<std::int32_t>(i), result});
  }
  set_tokens(std::move(tokens), separator);
  set_hash(canonical_hash());
}

const BpeTokenizer::Rule* BpeTokenizer::find_rule(std::int32_t left,
                                                  std::int32_t right) const {
  const auto found = rules_.find(key_of(left, right));
  return found == rules_.end() ? nullptr : &found->second;
}

std::vector<std::int32_t> BpeTokenizer::encode(std::string_view text) const {
  std::vector<std::int32_t> ids;
  ids.reserve(text.size() / 3);
  // A piece that was seen before is copied from where its ids stand already.
  std::unordered_map<std::string_view, std::pair<std::size_t, std::size_t>>
      seen;
  pretokenizer_.split(text, [&](std::string_view piece) {
    const std::size_t begin = ids.size();
    const auto [entry, is_new] = seen.try_emplace(piece);
    if (is_new) {
      check_bytes(piece, static_cast<std::size_t>(piece.data() - text.data()));
      encode_piece(piece, ids);
      entry->second = {begin, ids.size()};
      return;
    }
    const auto [from, to] = entry->second;
    for (std::size_t i = from; i < to; ++i) {
      const std::int32_t id = ids[i];
      ids.push_back(id);
    }
  });
  return ids;
}

std::int64_t BpeTokenizer::missing_bytes() const {
  return std::count(id_of_byte_.begin(), id_of_byte_.end(), -1);
}

void BpeTokenizer::check_bytes(std::string_view piece,
                               std::size_t offset) const {
  for (std::size_t i = 0; i < piece.size(); ++i) {
    const auto byte = static_cast<unsigned char>(piece[i]);
    if (id_of_byte_[byte] >= 0) continue;
    throw Error(
        ErrorKind::kInvalidArgument,
        concat("tokenizer: byte ", offset + i, " of the text: got ", int{byte},
               ", expected a byte that has a token: this "
               "vocabulary lacks ",
               missing_bytes(), " of the 256"),
        "take such bytes out of the text (control characters, parts "
        "of rare characters, or no UTF-8), or use another tokenizer");
  }
}

void BpeTokenizer::encode_piece(std::string_view piece,
                                std::vector<std::int32_t>& ids) const {
  std::vector<std::int32_t> symbols;
  symbols.reserve(piece.size());
  for (const char c : piece) {
    symbols.push_back(id_of_byte_[static_cast<unsigned char>(c)]);
  }
  if (symbols.size() <= kShortPiece) {
    merge_short(symbols);
  } else {
    merge_long(symbols);
  }
  ids.insert(ids.end(), symbols.begin(), symbols.end());
}

void BpeTokenizer::merge_short(std::vector<std::int32_t>& symbols) const {
  // rule_at[i]: the rule for symbols i and i + 1.
  std::vector<const Rule*> rule_at;
  for (std::size_t i = 0; i + 1 < symbols.size(); ++i) {
    rule_at.push_back(find_rule(symbols[i], symbols[i + 1]));
  }
  for (;;) {
    std::size_t best = rule_at.size();
    for (std::size_t i = 0; i < rule_at.size(); ++i) {
      if (rule_at[i] == nullptr) continue;
      if (best == rule_at.size() || rule_at[i]->rank < rule_at[best]->rank) {
        best = i;
      }
    }
    if (best == rule_at.size()) return;
    const auto at = static_cast<std::ptrdiff_t>(best);
    symbols[best] = rule_at[best]->result;
    symbols.erase(symbols.begin() + at + 1);
    rule_at.erase(rule_at.begin() + at);
    if (best > 0) {
      rule_at[best - 1] = find_rule(symbols[best - 1], symbols[best]);
    }
    if (best < rule_at.size()) {
      rule_at[best] = find_rule(symbols[best], symbols[best + 1]);
    }
  }
}

void BpeTokenizer::merge_long(std::vector<std::int32_t>& symbols) const {
  // A linked list of symbols and a heap of possible merges, in which those that
  // no longer apply are recognised by their ids when they come up.
  const std::size_t n = symbols.size();
  std::vector<std::size_t> next(n);
  std::vector<std::size_t> previous(n);
  for (std::size_t i = 0; i < n; ++i) {
    next[i] = i + 1;
    previous[i] = i - 1;  // not read for i = 0
  }
  // (rank, place, left id, right id)
  using Entry =
      std::tuple<std::int32_t, std::size_t, std::int32_t, std::int32_t>;
  std::priority_queue<Entry, std::vector<Entry>, std::greater<>> heap;
  const auto push = [&](std::size_t i) {
    if (next[i] >= n) return;
    const std::int32_t left = symbols[i];
    const std::int32_t right = symbols[next[i]];
    if (const Rule* rule = find_rule(left, right)) {
      heap.emplace(rule->rank, i, left, right);
    }
  };
  for (std::size_t i = 0; i < n; ++i) push(i);
  while (!heap.empty()) {
    const auto [rank, i, left, right] = heap.top();
    heap.pop();
    // A symbol that was merged into the one before it is -1.
    const std::size_t j = next[i];
    if (symbols[i] != left || j >= n || symbols[j] != right) continue;
    symbols[i] = merges_[static_cast<std::size_t>(rank)].result;
    symbols[j] = -1;
    next[i] = next[j];
    if (next[i] < n) previous[next[i]] = i;
    push(i);
    if (i > 0) push(previous[i]);
  }
  std::erase(symbols, -1);
}

std::vector<std::string> BpeTokenizer::merge_lines() const {
  std::vector<std::string> lines;
  lines.reserve(merges_.size());
  const auto text = [this](std::int32_t id) {
    return to_byte_level(tokens()[static_cast<std::size_t>(id)]);
  };
  for (const BpeMerge& merge : merges_) {
    lines.push_back(text(merge.left) + " " + text(merge.right));
  }
  return lines;
}

std::string BpeTokenizer::canonical_hash() const {
  core::Sha256 hash;
  hash.update(concat("muonlab-tokenizer-v1\nbpe\n", separator(), "\n"));
  // Not written for GPT-2's, so that hashes from before there was another hold.
  if (pretokenizer() == PretokenizerKind::kSmollm) hash.update("smollm\n");
  // Byte-level text has no line breaks, so lines cannot run together.
  for (const std::string& token : tokens()) {
    hash.update(to_byte_level(token) + "\n");
  }
  for (const BpeMerge& merge : merges_) {
    hash.update(concat(merge.left, " ", merge.right, "\n"));
  }
  return hash.hex();
}

}  // namespace muonlab::data
