// Telling valid UTF-8 (RFC 3629: no overlong forms, no surrogates, at most
// U+10FFFF) from other bytes.
#pragma once

#include <cstddef>
#include <string_view>

namespace muonlab::data {

/// Bytes of the valid UTF-8 sequence that `text` starts with; 0 when it starts
/// with none (an invalid byte, or nothing).
[[nodiscard]] std::size_t utf8_sequence(std::string_view text);

/// Bytes of the longest valid prefix of `text`.
[[nodiscard]] std::size_t valid_utf8_prefix(std::string_view text);

[[nodiscard]] inline bool is_valid_utf8(std::string_view text) {
  return valid_utf8_prefix(text) == text.size();
}

/// Characters are code points; each byte that belongs to none counts as one.
[[nodiscard]] std::size_t count_characters(std::string_view text);

/// Bytes of the first `characters` characters of `text`, or of all of them.
[[nodiscard]] std::size_t prefix_of_characters(std::string_view text,
                                               std::size_t characters);

}  // namespace muonlab::data
