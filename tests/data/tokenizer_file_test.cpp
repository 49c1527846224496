#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "muonlab/core/files.h"
#include "muonlab/data/bpe_tokenizer.h"
#include "muonlab/data/byte_tokenizer.h"
#include "muonlab/data/tokenizer.h"
#include "tests/support/expect_error.h"
#include "tests/support/temporary_folder.h"

namespace muonlab::data {
namespace {

using testing::expect_error;
using testing::TemporaryFolder;

constexpr std::string_view kText =
    "we the people of the people, by the people; caf\xC3\xA9 \xFF and the rest";

BpeTokenizer small_bpe() {
  return BpeTokenizer(train_bpe(std::vector<std::string_view>{kText}, 270));
}

TEST(TokenizerFile, BpeComesBackAsItWas) {
  const TemporaryFolder folder;
  const BpeTokenizer tokenizer = small_bpe();
  tokenizer.save(folder / "tokenizer.json");
  const auto loaded = load_tokenizer(folder / "tokenizer.json");
  EXPECT_EQ(loaded->kind(), "bpe");
  EXPECT_EQ(loaded->hash(), tokenizer.hash());
  EXPECT_EQ(loaded->vocabulary_size(), 270);
  EXPECT_EQ(loaded->separator(), tokenizer.separator());
  EXPECT_EQ(loaded->encode(kText), tokenizer.encode(kText));
}

TEST(TokenizerFile, BytesComeBackAsBytes) {
  const TemporaryFolder folder;
  ByteTokenizer().save(folder / "tokenizer.json");
  const auto loaded = load_tokenizer(folder / "tokenizer.json");
  EXPECT_EQ(loaded->kind(), "bytes");
  EXPECT_EQ(loaded->hash(), ByteTokenizer().hash());
  EXPECT_EQ(loaded->decode(loaded->encode(kText)), kText);
}

TEST(TokenizerFile, SavedAgainItIsTheSameFile) {
  const TemporaryFolder folder;
  small_bpe().save(folder / "a.json");
  load_tokenizer(folder / "a.json")->save(folder / "b.json");
  EXPECT_EQ(core::read_file(folder / "a.json"),
            core::read_file(folder / "b.json"));
}

TEST(TokenizerFile, TheWayOfCuttingTextIsKept) {
  const BpeModel model =
      train_bpe(std::vector<std::string_view>{"10 10 10 aa aa aa"}, 260);
  std::vector<std::string> tokens = model.tokens;
  tokens.emplace_back();
  const BpeTokenizer gpt2(tokens, model.merges, 259);
  const BpeTokenizer smollm(tokens, model.merges, 259,
                            PretokenizerKind::kSmollm);
  EXPECT_NE(smollm.hash(), gpt2.hash());
  EXPECT_NE(smollm.encode("a 10"), gpt2.encode("a 10"));
  const TemporaryFolder folder;
  const auto path = folder / "tokenizer.json";
  smollm.save(path);
  const auto loaded = load_tokenizer(path);
  EXPECT_EQ(loaded->pretokenizer(), PretokenizerKind::kSmollm);
  EXPECT_EQ(loaded->hash(), smollm.hash());
  EXPECT_EQ(loaded->encode("a 10"), smollm.encode("a 10"));
  std::string json = core::read_file(path);
  const std::string digits = "\"individual_digits\": true";
  json.replace(json.find(digits), digits.size(),
               "\"individual_digits\": false");
  testing::write(path, json);
  expect_error(ErrorKind::kUnsupported, {"pre_tokenizer.pretokenizers"},
               [&] { (void)load_tokenizer(path); });
}

TEST(TokenizerFile, HashesOfFilesFromBeforeHold) {
  // What the first version of the tokenizer gave for this text.
  EXPECT_EQ(small_bpe().hash(),
            "5ab3c6e2bf943d92411e46ee25fdf3b5e2b1cab1e68f1e8a8eb477fcde430b25");
}

TEST(TokenizerFile, OtherLayoutsOfIdsAndMergesAreRead) {
  // Separator first and merges as lists, as the `tokenizers` trainer writes.
  const BpeTokenizer tokenizer = small_bpe();
  std::vector<std::string> tokens = {""};
  for (std::int32_t id = 0; id < 269; ++id) {
    tokens.push_back(tokenizer.decode(std::vector<std::int32_t>{id}));
  }
  std::vector<BpeMerge> merges = tokenizer.merges();
  for (BpeMerge& merge : merges) {
    ++merge.left;
    ++merge.right;
    ++merge.result;
  }
  const TemporaryFolder folder;
  BpeTokenizer(tokens, merges, 0).save(folder / "tokenizer.json");
  std::string json = core::read_file(folder / "tokenizer.json");
  const std::string line = "\"h e\"";
  const std::size_t at = json.find(line);
  ASSERT_NE(at, std::string::npos);
  json.replace(at, line.size(), "[\"h\", \"e\"]");
  testing::write(folder / "tokenizer.json", json);
  const auto loaded = load_tokenizer(folder / "tokenizer.json");
  EXPECT_EQ(loaded->separator(), 0);
  std::vector<std::int32_t> expected = tokenizer.encode(kText);
  for (std::int32_t& id : expected) ++id;
  EXPECT_EQ(loaded->encode(kText), expected);
}

struct Damage {
  std::string from;
  std::string to;
  ErrorKind kind;
  std::string word;
};

TEST(TokenizerFile, DamagedAndForeignFilesAreNamed) {
  const TemporaryFolder folder;
  const auto path = folder / "tokenizer.json";
  small_bpe().save(path);
  const std::string whole = core::read_file(path);
  const auto corrupt = ErrorKind::kCorruptData;
  const auto foreign = ErrorKind::kUnsupported;
  const std::vector<Damage> cases = {
      {"\"BPE\"", "\"Unigram\"", foreign, "model.type"},
      {"\"ByteLevel\"", "\"Metaspace\"", foreign, "pre_tokenizer.type"},
      {"\"add_prefix_space\": false", "\"add_prefix_space\": true", foreign,
       "pre_tokenizer.add_prefix_space"},
      {"\"normalizer\": null", "\"normalizer\": {\"type\": \"NFC\"}", foreign,
       "normalizer"},
      {"\"content\": \"<|endoftext|>\"", "\"content\": \"<s>\"", foreign,
       "added_tokens"},
      {"\"!\": 0", "\"!\": 1", corrupt, "each of 0 to 269 once"},
      {"\"!\": 0", "\"!\": 9999", corrupt, "9999"},
      {"\"!\": 0", "\"\xE4\xB8\x80\": 0", corrupt, "byte-level"},
      {"\"!\": 0", "\"!\": \"x\"", corrupt, "not an integer"},
      {"\"h e\"", "\"h Q\"", corrupt, "'h' and 'Q'"},
      {"\"h e\"", "17", corrupt, "model.merges: entry"},
      {"\"merges\"", "\"marges\"", corrupt, "model.merges"},
      {"\"model\"", "\"mode\"", corrupt, "\"model\""},
      {"\"version\"", "version", corrupt, "not valid JSON at byte"},
  };
  for (const Damage& damage : cases) {
    std::string bytes = whole;
    const std::size_t at = bytes.find(damage.from);
    ASSERT_NE(at, std::string::npos) << damage.from;
    bytes.replace(at, damage.from.size(), damage.to);
    testing::write(path, bytes);
    expect_error(damage.kind, {"tokenizer.json", damage.word, "make"},
                 [&] { (void)load_tokenizer(path); });
  }
}

TEST(TokenizerFile, AFileCutShortAnywhereIsAnError) {
  const TemporaryFolder folder;
  const auto path = folder / "tokenizer.json";
  small_bpe().save(path);
  const std::string whole = core::read_file(path);
  // The last two bytes are "}" and a line break.
  for (std::size_t size = 0; size + 1 < whole.size(); size += 97) {
    testing::write(path, whole.substr(0, size));
    expect_error(ErrorKind::kCorruptData, {"tokenizer.json"},
                 [&] { (void)load_tokenizer(path); });
  }
}

}  // namespace
}  // namespace muonlab::data
