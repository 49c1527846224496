// Training a byte-level BPE: which pairs of tokens to merge, in which order.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace muonlab::data {

/// One merge rule: `left` followed by `right` becomes `result`.
struct BpeMerge {
  std::int32_t left = 0;
  std::int32_t right = 0;
  std::int32_t result = 0;
  bool operator==(const BpeMerge&) const = default;
};

/// What a byte-level BPE consists of. Ids are laid out as GPT-2's: 0 to 255
/// are the bytes in the order of `byte_level_order()`, then the merged tokens
/// in the order in which they were found; the separator, added by the
/// tokenizer, comes last.
struct BpeModel {
  std::vector<std::string> tokens;  ///< bytes of each id, separator left out
  std::vector<BpeMerge> merges;     ///< in the order of their priority
};

/// Learns merges from `documents` until there are `vocabulary` tokens, where
/// `vocabulary` counts the 256 bytes, the merged tokens and the separator.
///
/// Each step merges the pair that occurs most often inside the pieces of
/// `Pretokenizer`; of pairs that occur equally often, the one with the lower
/// left id, then the lower right id. Where two merges spell the same bytes they
/// share one id, so there can be a few more merges than merged tokens. (This is
/// also what the trainer of the `tokenizers` package does.) The result does not
/// depend on the order of the documents. Cost: about a second for 10 MB.
///
/// Throws Error(kInvalidArgument) when `vocabulary` is below 257, or when the
/// text has too few different pairs: the message says how many tokens there
/// could be.
[[nodiscard]] BpeModel train_bpe(std::span<const std::string_view> documents,
                                 std::int64_t vocabulary);

}  // namespace muonlab::data
