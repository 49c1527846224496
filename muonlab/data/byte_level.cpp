#include "muonlab/data/byte_level.h"

#include <cstddef>

namespace muonlab::data {

namespace {

constexpr bool is_printable(unsigned byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) ||
         byte >= 0xAE;
}

struct Tables {
  std::array<std::uint8_t, 256> order{};
  std::array<std::uint32_t, 256> character{};  // code point of a byte
  std::array<std::int32_t, 324> byte{};        // byte of a code point, or -1

  constexpr Tables() {
    byte.fill(-1);
    std::size_t n = 0;
    for (unsigned b = 0; b < 256; ++b) {
      if (!is_printable(b)) continue;
      order[n++] = static_cast<std::uint8_t>(b);
      character[b] = b;
    }
    std::uint32_t next = 256;
    for (unsigned b = 0; b < 256; ++b) {
      if (is_printable(b)) continue;
      order[n++] = static_cast<std::uint8_t>(b);
      character[b] = next++;
    }
    for (unsigned b = 0; b < 256; ++b) {
      byte[character[b]] = static_cast<std::int32_t>(b);
    }
  }
};

constexpr Tables kTables;

}  // namespace

const std::array<std::uint8_t, 256>& byte_level_order() {
  return kTables.order;
}

std::string to_byte_level(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) {
    const std::uint32_t point =
        kTables.character[static_cast<unsigned char>(c)];
    if (point < 0x80) {
      text.push_back(static_cast<char>(point));
    } else {  // all are below U+0800: two bytes
      text.push_back(static_cast<char>(0xC0U | (point >> 6)));
      text.push_back(static_cast<char>(0x80U | (point & 0x3FU)));
    }
  }
  return text;
}

std::optional<std::string> from_byte_level(std::string_view text) {
  std::string bytes;
  for (std::size_t i = 0; i < text.size(); ++i) {
    std::uint32_t point = static_cast<unsigned char>(text[i]);
    if (point >= 0x80) {
      if ((point & 0xE0U) != 0xC0U || i + 1 == text.size()) return {};
      const auto next = static_cast<unsigned char>(text[++i]);
      if ((next & 0xC0U) != 0x80U) return {};
      point = ((point & 0x1FU) << 6) | (next & 0x3FU);
    }
    if (point >= kTables.byte.size() || kTables.byte[point] < 0) return {};
    bytes.push_back(static_cast<char>(kTables.byte[point]));
  }
  return bytes;
}

}  // namespace muonlab::data
