#include "muonlab/data/byte_tokenizer.h"

#include <utility>

#include "muonlab/core/hash.h"

namespace muonlab::data {

ByteTokenizer::ByteTokenizer() {
  std::vector<std::string> tokens;
  for (int byte = 0; byte < 256; ++byte) {
    tokens.emplace_back(1, static_cast<char>(byte));
  }
  tokens.emplace_back();
  set_tokens(std::move(tokens), 256);
  set_hash(core::sha256_hex("muonlab-tokenizer-v1\nbytes\n"));
}

std::vector<std::int32_t> ByteTokenizer::encode(std::string_view text) const {
  std::vector<std::int32_t> ids;
  ids.reserve(text.size());
  for (const char c : text) ids.push_back(static_cast<unsigned char>(c));
  return ids;
}

}  // namespace muonlab::data
