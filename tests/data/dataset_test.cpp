#include "muonlab/data/dataset.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "muonlab/core/error.h"
#include "muonlab/core/files.h"
#include "muonlab/data/prepare.h"
#include "tests/data/sample_corpus.h"
#include "tests/support/expect_error.h"
#include "tests/support/temporary_folder.h"

namespace muonlab::data {
namespace {

using testing::expect_error;
using testing::TemporaryFolder;

class DatasetTest : public ::testing::Test {
 protected:
  DatasetTest() {
    write_documents(folder_ / "corpus", 0, 60);
    prepare({.corpus = folder_ / "corpus",
             .out = out_,
             .vocabulary = 300,
             .held_out = 0.3});
  }

  // Replaces the first `from` in a file, then expects the error of opening.
  void expect_refused(const char* file, const std::string& from,
                      const std::string& to, std::vector<std::string> words) {
    const std::string whole = core::read_file(out_ / file);
    std::string bytes = whole;
    const std::size_t at = bytes.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    testing::write(out_ / file, bytes.replace(at, from.size(), to));
    words.push_back(file);
    expect_error(ErrorKind::kCorruptData, words,
                 [&] { (void)Dataset::open(out_); });
    testing::write(out_ / file, whole);
  }

  void expect_byte_refused(std::size_t offset, char value,
                           std::vector<std::string> words) {
    const std::string whole = core::read_file(out_ / kShard);
    std::string bytes = whole;
    bytes.at(offset) = value;
    ASSERT_NE(bytes, whole);
    testing::write(out_ / kShard, bytes);
    words.push_back(kShard);
    words.push_back("data prepare");
    expect_error(ErrorKind::kCorruptData, words,
                 [&] { (void)Dataset::open(out_); });
    testing::write(out_ / kShard, whole);
  }

  static constexpr const char* kShard = "selection_000000.bin";
  TemporaryFolder folder_;
  std::filesystem::path out_ = folder_ / "set";
};

TEST_F(DatasetTest, TokensDecodeToTheTextsThatTheSidecarCounts) {
  const Dataset dataset = Dataset::open(out_);
  const auto tokenizer = dataset.tokenizer();
  EXPECT_EQ(tokenizer->vocabulary_size(), 300);
  EXPECT_EQ(dataset.hash(), dataset.info().hash);
  for (const Split which : kSplits) {
    const SplitInfo& split = dataset.info().split(which);
    const auto& tokens = dataset.tokens(which);
    ASSERT_FALSE(tokens.empty());
    EXPECT_EQ(tokens.front(), tokenizer->separator());
    EXPECT_EQ(std::ssize(tokens), split.n_tokens);
    EXPECT_EQ(std::count(tokens.begin(), tokens.end(), tokenizer->separator()),
              split.n_documents);
    EXPECT_EQ(std::ssize(tokenizer->decode(tokens)), split.bytes);
  }
}

TEST_F(DatasetTest, DamagedShardsAreNamedWithTheOffset) {
  EXPECT_NO_THROW((void)Dataset::open(out_));
  expect_byte_refused(0, 'x', {"byte 0", "magic"});
  expect_byte_refused(4, 9, {"byte 4", "version"});
  expect_byte_refused(9, 1, {"file size"});
  expect_byte_refused(1027, 9, {"byte 1026", "token id"});
  // An id that is still in the vocabulary: only the hash can tell.
  const std::string whole = core::read_file(out_ / kShard);
  expect_byte_refused(1026, static_cast<char>(whole[1026] ^ 1),
                      {"bytes 0 to ", "sha256"});
  // An unused word of the header.
  expect_byte_refused(100, 1, {"bytes 0 to ", "sha256"});
  testing::write(out_ / kShard, whole.substr(0, whole.size() - 2));
  expect_error(ErrorKind::kCorruptData, {kShard, "file size"},
               [&] { (void)Dataset::open(out_); });
}

TEST_F(DatasetTest, AShardOfAnotherLengthIsNoticedThoughItIsWholeInItself) {
  const auto tokens = Dataset::open(out_).tokens(Split::kTrain);
  std::filesystem::copy_file(out_ / "train_000000.bin", out_ / kShard,
                             std::filesystem::copy_options::overwrite_existing);
  expect_error(ErrorKind::kCorruptData, {kShard, "number of tokens"},
               [&] { (void)Dataset::open(out_); });
}

TEST_F(DatasetTest, AChangedSidecarIsNoticed) {
  expect_refused("dataset.json", "\"schema\": 1", "\"schema\": 2",
                 {"'schema': got 2, expected 1"});
  expect_refused("dataset.json", "\"bytes\": ", "\"bytes\": 1",
                 {"does not fit"});
  expect_refused("dataset.json", "held_out=0.3", "held_out=0.2",
                 {"does not fit"});
  expect_refused("dataset.json", "\"n_tokens\": ", "\"n_tokens\": -",
                 {"'splits.train.n_tokens'", "a count"});
  expect_refused("dataset.json", "\"tokenizer\"", "\"tokeniser\"",
                 {"'tokenizer': is missing"});
  expect_refused("dataset.json", "\"train_000000.bin\"", "\"../x\"",
                 {"inside the folder"});
  expect_refused("dataset.json", "{", "[", {"JSON"});
}

TEST_F(DatasetTest, AnotherTokenizerIsNoticed) {
  // Two rules change places: still a tokenizer, no longer this one.
  const std::string whole = core::read_file(out_ / kTokenizerName);
  const std::size_t start = whole.find("\"merges\"");
  const std::size_t first = whole.find('"', start + 8) + 1;
  const std::size_t first_end = whole.find('"', first);
  const std::size_t second = whole.find('"', first_end + 1) + 1;
  const std::size_t second_end = whole.find('"', second);
  const std::string swapped =
      whole.substr(0, first) + whole.substr(second, second_end - second) +
      whole.substr(first_end, second - first_end) +
      whole.substr(first, first_end - first) + whole.substr(second_end);
  testing::write(out_ / kTokenizerName, swapped);
  expect_error(ErrorKind::kCorruptData, {"tokenizer.json", "hash"},
               [&] { (void)Dataset::open(out_); });
}

TEST_F(DatasetTest, MissingFilesAreIoErrors) {
  expect_error(ErrorKind::kIo, {"dataset.json"},
               [&] { (void)Dataset::open(folder_ / "nowhere"); });
  std::filesystem::remove(out_ / kShard);
  expect_error(ErrorKind::kIo, {kShard}, [&] { (void)Dataset::open(out_); });
}

}  // namespace
}  // namespace muonlab::data
