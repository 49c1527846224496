// Tokenizers: text to ids and back, and the file tokenizer.json.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "muonlab/data/pretokenize.h"

namespace muonlab::data {

/// How the separator between documents is written in tokenizer.json.
inline constexpr std::string_view kSeparatorText = "<|endoftext|>";

/// Turns bytes into ids in [0, vocabulary_size()). Any bytes can be encoded,
/// UTF-8 or not, unless a vocabulary from elsewhere lacks some, and
/// `decode(encode(x)) == x`. Immutable and thread-safe.
///
/// Text is text: where it contains the characters `<|endoftext|>`, these are
/// encoded like any others and never give `separator()`. (The `tokenizers`
/// package, in its default call, does give it.) Only code adds separators.
class Tokenizer {
 public:
  Tokenizer() = default;
  virtual ~Tokenizer() = default;
  Tokenizer(const Tokenizer&) = delete;
  Tokenizer& operator=(const Tokenizer&) = delete;

  [[nodiscard]] virtual std::vector<std::int32_t> encode(
      std::string_view text) const = 0;
  /// The bytes that the ids stand for; a separator stands for none. Throws
  /// Error(kInvalidArgument) for an id that is not in the vocabulary.
  [[nodiscard]] std::string decode(std::span<const std::int32_t> ids) const;

  /// Counts everything: bytes, merged tokens and the separator.
  [[nodiscard]] std::int64_t vocabulary_size() const {
    return static_cast<std::int64_t>(tokens_.size());
  }
  /// The id of `<|endoftext|>`.
  [[nodiscard]] std::int32_t separator() const { return separator_; }
  /// Length in bytes of the text that `id` stands for; 0 for the separator.
  /// Throws Error(kInvalidArgument) for an id that is not in the vocabulary.
  [[nodiscard]] std::int64_t token_bytes(std::int32_t id) const;
  /// How text is cut before merging; says nothing where nothing is merged.
  [[nodiscard]] virtual PretokenizerKind pretokenizer() const {
    return PretokenizerKind::kGpt2;
  }
  /// "bytes" or "bpe".
  [[nodiscard]] virtual std::string kind() const = 0;
  /// SHA-256 over what the tokenizer does (kind, tokens, merges, separator), so
  /// it does not depend on how its file is laid out.
  [[nodiscard]] const std::string& hash() const { return hash_; }
  /// Writes a tokenizer.json that the Python package `tokenizers` loads and
  /// that encodes there to the same ids. Throws Error(kIo).
  void save(const std::filesystem::path& path) const;

 protected:
  /// `tokens`: the bytes of each id, empty at `separator`.
  void set_tokens(std::vector<std::string> tokens, std::int32_t separator);
  void set_hash(std::string hash) { hash_ = std::move(hash); }
  [[nodiscard]] const std::vector<std::string>& tokens() const {
    return tokens_;
  }
  /// The merges as tokenizer.json has them: "LEFT RIGHT" in byte-level text.
  [[nodiscard]] virtual std::vector<std::string> merge_lines() const = 0;

 private:
  [[nodiscard]] const std::string& token(std::int32_t id) const;

  std::vector<std::string> tokens_;
  std::int32_t separator_ = 0;
  std::string hash_;
};

/// Reads what `Tokenizer::save` wrote, and any other byte-level BPE with
/// GPT-2's or SmolLM's way of cutting text, such as GPT-2's own tokenizer.json;
/// and the tokenizer of a GGUF file (`gguf_tokenizer.h`). Throws Error(kIo)
/// when the file cannot be read, kCorruptData when it is damaged, and
/// kUnsupported when it holds another sort of tokenizer; the message names the
/// file and the field.
[[nodiscard]] std::shared_ptr<const Tokenizer> load_tokenizer(
    const std::filesystem::path& path);

}  // namespace muonlab::data
