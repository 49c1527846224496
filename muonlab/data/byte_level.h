// GPT-2's way of writing any byte as one printable character, which the file
// format tokenizer.json uses for its vocabulary (Radford et al. 2019,
// "Language models are unsupervised multitask learners", section 2.2).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace muonlab::data {

/// All bytes, in the order of the characters that stand for them: `!` to `~`,
/// 0xA1 to 0xAC, 0xAE to 0xFF, then the other 68, which become U+0100 and up.
/// GPT-2 numbers its first 256 tokens so.
[[nodiscard]] const std::array<std::uint8_t, 256>& byte_level_order();

/// Bytes as UTF-8 text of such characters.
[[nodiscard]] std::string to_byte_level(std::string_view bytes);

/// The bytes that `text` stands for; nothing when a character is not of the
/// 256.
[[nodiscard]] std::optional<std::string> from_byte_level(std::string_view text);

}  // namespace muonlab::data
