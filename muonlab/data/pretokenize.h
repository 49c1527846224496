// Cutting text into the pieces inside which BPE merges: GPT-2's pattern, and
// SmolLM's, which has each digit by itself.
#pragma once

#include <functional>
#include <memory>
#include <string_view>

namespace muonlab::data {

enum class PretokenizerKind {
  kGpt2,    ///< GPT-2's pattern
  kSmollm,  ///< each \p{N} is a piece; GPT-2's pattern between them
};

/// Splits by GPT-2's pattern
///   's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
/// where \s is Unicode's White_Space. The pieces, one after the other, are the
/// text. Which characters are letters and numbers is what PCRE2's tables say,
/// those of its Unicode version (14 in PCRE2 10.40 to 10.42): code points added
/// to Unicode later split as punctuation.
///
/// SmolLM's way is that of the `tokenizers` package's
/// Digits(individual_digits), then ByteLevel: no blank joins a number, and
/// white space before one is not split, as if the text ended there.
///
/// A run of bytes that are not valid UTF-8 is a piece of its own, and the text
/// before it is split as if it ended there.
///
/// Thread-safe; linear in the length of the text.
class Pretokenizer {
 public:
  using Visitor = std::function<void(std::string_view piece)>;

  /// Throws Error(kInternal) when PCRE2 was built without Unicode.
  explicit Pretokenizer(PretokenizerKind kind = PretokenizerKind::kGpt2);
  ~Pretokenizer();
  Pretokenizer(Pretokenizer&&) noexcept;
  Pretokenizer& operator=(Pretokenizer&&) noexcept;

  [[nodiscard]] PretokenizerKind kind() const { return kind_; }
  /// Calls `visit` for each piece, in order; pieces point into `text`.
  void split(std::string_view text, const Visitor& visit) const;

 private:
  struct Pattern;
  void split_valid(std::string_view text, const Visitor& visit) const;
  PretokenizerKind kind_;
  std::unique_ptr<Pattern> pattern_;
};

}  // namespace muonlab::data
