#include "muonlab/data/tokenizer.h"

#include <cstddef>
#include <nlohmann/json.hpp>
#include <utility>

#include "muonlab/core/error.h"
#include "muonlab/core/files.h"
#include "muonlab/data/byte_level.h"

namespace muonlab::data {

void Tokenizer::set_tokens(std::vector<std::string> tokens,
                           std::int32_t separator) {
  tokens_ = std::move(tokens);
  separator_ = separator;
}

const std::string& Tokenizer::token(std::int32_t id) const {
  MUONLAB_CHECK(id >= 0 && id < vocabulary_size(), "tokenizer: id: got ", id,
                ", expected 0 to ", vocabulary_size() - 1);
  return tokens_[static_cast<std::size_t>(id)];
}

std::int64_t Tokenizer::token_bytes(std::int32_t id) const {
  return static_cast<std::int64_t>(token(id).size());
}

std::string Tokenizer::decode(std::span<const std::int32_t> ids) const {
  std::string bytes;
  for (const std::int32_t id : ids) bytes += token(id);
  return bytes;
}

void Tokenizer::save(const std::filesystem::path& path) const {
  // Ordered, so that the vocabulary is listed by id.
  using Json = nlohmann::ordered_json;
  Json vocabulary = Json::object();
  for (std::size_t id = 0; id < tokens_.size(); ++id) {
    const bool is_separator = static_cast<std::int32_t>(id) == separator_;
    // Emplaced at the end: operator[] would search the list for each key.
    vocabulary.get_ref<Json::object_t&>().emplace_back(
        is_separator ? std::string(kSeparatorText) : to_byte_level(tokens_[id]),
        id);
  }
  const Json separator = {{"id", separator_},     {"content", kSeparatorText},
                          {"single_word", false}, {"lstrip", false},
                          {"rstrip", false},      {"normalized", false},
                          {"special", true}};
  const Json byte_level = {{"type", "ByteLevel"},
                           {"add_prefix_space", false},
                           {"trim_offsets", true},
                           {"use_regex", true}};
  Json pre_tokenizer = byte_level;
  if (pretokenizer() == PretokenizerKind::kSmollm) {
    const Json digits = {{"type", "Digits"}, {"individual_digits", true}};
    pre_tokenizer = {{"type", "Sequence"},
                     {"pretokenizers", Json::array({digits, byte_level})}};
  }
  const Json model = {{"type", "BPE"},
                      {"dropout", nullptr},
                      {"unk_token", nullptr},
                      {"continuing_subword_prefix", nullptr},
                      {"end_of_word_suffix", nullptr},
                      {"fuse_unk", false},
                      {"byte_fallback", false},
                      {"ignore_merges", false},
                      {"vocab", std::move(vocabulary)},
                      {"merges", merge_lines()}};
  const Json file = {{"version", "1.0"},
                     {"truncation", nullptr},
                     {"padding", nullptr},
                     {"added_tokens", Json::array({separator})},
                     {"normalizer", nullptr},
                     {"pre_tokenizer", pre_tokenizer},
                     {"post_processor", nullptr},
                     {"decoder", byte_level},
                     {"model", model}};
  core::write_file(path, file.dump(1) + "\n");
}

}  // namespace muonlab::data
