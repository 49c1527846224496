// Byte-level BPE as GPT-2 has it.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "muonlab/data/bpe_trainer.h"
#include "muonlab/data/pretokenize.h"
#include "muonlab/data/tokenizer.h"

namespace muonlab::data {

/// Cuts text into pieces (`Pretokenizer`), each piece into bytes, and merges in
/// each piece, as long as there is one, the pair whose rule comes first in the
/// list, the leftmost of equal ones. Cost of a piece of n bytes: n log n.
class BpeTokenizer final : public Tokenizer {
 public:
  /// From training; the separator gets the id after the last token.
  explicit BpeTokenizer(BpeModel model);
  /// Any layout of ids: `tokens` has the bytes of each id, empty at
  /// `separator`. Throws Error(kInvalidArgument) when a merge does not fit the
  /// tokens. Published vocabularies may lack a token for some bytes: text that
  /// has one of these cannot be encoded.
  BpeTokenizer(std::vector<std::string> tokens, std::vector<BpeMerge> merges,
               std::int32_t separator,
               PretokenizerKind pretokenizer = PretokenizerKind::kGpt2);

  /// Throws Error(kInvalidArgument), with byte and offset, where a byte of
  /// `text` has no token.
  [[nodiscard]] std::vector<std::int32_t> encode(
      std::string_view text) const override;
  [[nodiscard]] std::string kind() const override { return "bpe"; }
  /// The rules in the order of their priority.
  [[nodiscard]] const std::vector<BpeMerge>& merges() const { return merges_; }
  [[nodiscard]] PretokenizerKind pretokenizer() const override {
    return pretokenizer_.kind();
  }
  /// How many of the 256 bytes have no token.
  [[nodiscard]] std::int64_t missing_bytes() const;

 private:
  struct Rule {
    std::int32_t rank = 0;
    std::int32_t result = 0;
  };

  [[nodiscard]] const Rule* find_rule(std::int32_t left,
                                      std::int32_t right) const;
  void check_bytes(std::string_view piece, std::size_t offset) const;
  void encode_piece(std::string_view piece,
                    std::vector<std::int32_t>& ids) const;
  void merge_short(std::vector<std::int32_t>& symbols) const;
  void merge_long(std::vector<std::int32_t>& symbols) const;
  [[nodiscard]] std::vector<std::string> merge_lines() const override;
  [[nodiscard]] std::string canonical_hash() const;

  Pretokenizer pretokenizer_;
  std::array<std::int32_t, 256> id_of_byte_{};
  std::vector<BpeMerge> merges_;
  std::unordered_map<std::uint64_t, Rule> rules_;  // by (left << 32) | right
};

}  // namespace muonlab::data
