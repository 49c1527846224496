#include "muonlab/data/gguf_tokenizer.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "muonlab/core/error.h"
#include "muonlab/data/byte_level.h"
#include "tests/support/expect_error.h"
#include "tests/support/temporary_folder.h"

namespace muonlab::data {
namespace {

using formats::GgufArray;
using formats::GgufFile;
using formats::GgufType;
using testing::expect_error;
using Ids = std::vector<std::int32_t>;

// Separator, another control token, the bytes but 0xFF, "he", "10".
GgufFile small_model(const std::string& pre) {
  GgufFile file;
  file.path = "small.gguf";
  std::vector<std::string> tokens = {"<|endoftext|>", "<|im_start|>"};
  for (int byte = 0; byte < 255; ++byte) {
    tokens.push_back(to_byte_level(std::string(1, static_cast<char>(byte))));
  }
  tokens.insert(tokens.end(), {"he", "10"});
  std::vector<std::int64_t> types(tokens.size(), 1);
  types[0] = types[1] = 3;
  const auto add = [&file](const char* key, GgufType type, auto value) {
    file.metadata.emplace_back(key, formats::GgufValue{type, std::move(value)});
  };
  add("tokenizer.ggml.model", GgufType::kString, std::string("gpt2"));
  add("tokenizer.ggml.pre", GgufType::kString, pre);
  add("tokenizer.ggml.tokens", GgufType::kArray,
      GgufArray{GgufType::kString, std::move(tokens)});
  add("tokenizer.ggml.token_type", GgufType::kArray,
      GgufArray{GgufType::kInt32, std::move(types)});
  add("tokenizer.ggml.merges", GgufType::kArray,
      GgufArray{GgufType::kString, std::vector<std::string>{"h e", "1 0"}});
  return file;
}

formats::GgufValue& value(GgufFile& file, const std::string& key) {
  for (auto& [name, value] : file.metadata) {
    if (name == "tokenizer.ggml." + key) return value;
  }
  throw std::logic_error(key);
}

std::vector<std::string>& strings(GgufFile& file, const std::string& key) {
  return std::get<std::vector<std::string>>(
      std::get<GgufArray>(value(file, key).value).items);
}

TEST(GgufTokenizer, EncodesByItsMergesAndPattern) {
  const auto gpt2 = gguf_tokenizer(small_model("gpt-2"));
  EXPECT_EQ(gpt2->vocabulary_size(), 259);
  EXPECT_EQ(gpt2->separator(), 0);
  EXPECT_EQ(gpt2->encode("he10"), (Ids{257, 258}));
  const auto smollm = gguf_tokenizer(small_model("smollm"));
  EXPECT_EQ(smollm->encode("he10"), (Ids{257, 2 + '1', 2 + '0'}));
  EXPECT_EQ(smollm->decode(smollm->encode("then 100\n")), "then 100\n");
  // Control tokens are text to the encoder.
  EXPECT_EQ(smollm->encode("<|im_start|>").size(), 12U);
}

TEST(GgufTokenizer, AByteWithoutTokenIsNamed) {
  const auto tokenizer = gguf_tokenizer(small_model("smollm"));
  EXPECT_EQ(tokenizer->missing_bytes(), 1);
  expect_error(ErrorKind::kInvalidArgument,
               {"byte 5 of the text", "got 255", "lacks 1 of the 256"},
               [&] { (void)tokenizer->encode("he 10\xFF"); });
}

TEST(GgufTokenizer, ComesBackFromTokenizerJson) {
  const testing::TemporaryFolder folder;
  const auto tokenizer = gguf_tokenizer(small_model("smollm"));
  tokenizer->save(folder / "tokenizer.json");
  const auto loaded = load_tokenizer(folder / "tokenizer.json");
  EXPECT_EQ(loaded->hash(), tokenizer->hash());
  EXPECT_EQ(loaded->encode("he 10"), tokenizer->encode("he 10"));
}

struct Damage {
  ErrorKind kind;
  std::vector<std::string> words;
  std::function<void(GgufFile&)> make;
};

TEST(GgufTokenizer, WhatDoesNotFitIsNamed) {
  const auto corrupt = ErrorKind::kCorruptData;
  const auto foreign = ErrorKind::kUnsupported;
  const std::vector<Damage> cases = {
      {foreign,
       {"model", "got 'llama'"},
       [](GgufFile& f) { value(f, "model").value = std::string("llama"); }},
      {foreign,
       {"pre", "got 'qwen2'", "gpt-2 or smollm"},
       [](GgufFile& f) { value(f, "pre").value = std::string("qwen2"); }},
      {foreign,
       {"token_type", "got '4 for token 1"},
       [](GgufFile& f) {
         std::get<std::vector<std::int64_t>>(
             std::get<GgufArray>(value(f, "token_type").value).items)[1] = 4;
       }},
      {corrupt,
       {"token_type", "got 258 elements, expected 259"},
       [](GgufFile& f) {
         std::get<std::vector<std::int64_t>>(
             std::get<GgufArray>(value(f, "token_type").value).items)
             .pop_back();
       }},
      {corrupt,
       {"no string 'tokenizer.ggml.pre'"},
       [](GgufFile& f) {
         std::erase_if(f.metadata, [](const auto& entry) {
           return entry.first == "tokenizer.ggml.pre";
         });
       }},
      {corrupt,
       {"tokens", "token 258 'he'", "twice"},
       [](GgufFile& f) { strings(f, "tokens")[258] = "he"; }},
      {corrupt,
       {"tokens", "token 5", "byte-level"},
       [](GgufFile& f) { strings(f, "tokens")[5] = "a b"; }},
      {corrupt,
       {"tokens", "token 5", "byte-level"},
       [](GgufFile& f) { strings(f, "tokens")[5] = ""; }},
      {corrupt,
       {"no token <|endoftext|>"},
       [](GgufFile& f) { strings(f, "tokens")[0] = "<s>"; }},
      {corrupt,
       {"merges", "entry 1", "'1 9'"},
       [](GgufFile& f) { strings(f, "merges")[1] = "1 9"; }},
      {corrupt,
       {"merges", "entry 0", "'he'"},
       [](GgufFile& f) { strings(f, "merges")[0] = "he"; }},
  };
  for (const Damage& damage : cases) {
    GgufFile file = small_model("smollm");
    damage.make(file);
    std::vector<std::string> words = damage.words;
    words.emplace_back("small.gguf");
    expect_error(damage.kind, words, [&] { (void)gguf_tokenizer(file); });
  }
}

}  // namespace
}  // namespace muonlab::data
