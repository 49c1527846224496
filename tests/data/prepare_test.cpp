#include "muonlab/data/prepare.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "muonlab/core/error.h"
#include "muonlab/core/files.h"
#include "muonlab/data/bpe_tokenizer.h"
#include "tests/data/sample_corpus.h"
#include "tests/support/expect_error.h"
#include "tests/support/temporary_folder.h"

namespace muonlab::data {
namespace {

namespace fs = std::filesystem;
using testing::expect_error;
using testing::TemporaryFolder;

// The documents of a split, as decoded from its tokens.
std::vector<std::string> documents(const Dataset& dataset, Split split) {
  std::vector<std::string> result;
  for (const std::int32_t id : dataset.tokens(split)) {
    if (id == dataset.tokenizer()->separator()) {
      result.emplace_back();
    } else {
      result.back() += dataset.tokenizer()->decode(std::vector{id});
    }
  }
  return result;
}

class PrepareTest : public ::testing::Test {
 protected:
  PrepareTest() { write_documents(folder_ / "corpus", 0, 80); }

  PrepareOptions options() const {
    return {.corpus = folder_ / "corpus",
            .out = folder_ / "set",
            .vocabulary = 300,
            .held_out = 0.3};
  }
  std::vector<std::string> entries() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder_.path())) {
      names.push_back(entry.path().filename().string());
    }
    std::sort(names.begin(), names.end());
    return names;
  }

  TemporaryFolder folder_;
};

TEST_F(PrepareTest, EveryDocumentIsInExactlyOneSplit) {
  prepare(options());
  const Dataset dataset = Dataset::open(folder_ / "set");
  std::multiset<std::string> found;
  for (const Split split : kSplits) {
    for (const std::string& text : documents(dataset, split)) {
      found.insert(text);
      EXPECT_EQ(SplitRule(0.3).of(text), split);
    }
  }
  std::multiset<std::string> expected;
  for (int i = 0; i < 80; ++i) expected.insert(sample_document(i));
  EXPECT_EQ(found, expected);
}

TEST_F(PrepareTest, DocumentsStayInTheirSplitWhenOthersAreAdded) {
  prepare(options());
  const Dataset before = Dataset::open(folder_ / "set");
  write_documents(folder_ / "corpus", 80, 200);
  PrepareOptions more = options();
  more.out = folder_ / "more";
  prepare(more);
  const Dataset after = Dataset::open(folder_ / "more");
  for (const Split split : kSplits) {
    const auto now = documents(after, split);
    for (const std::string& text : documents(before, split)) {
      EXPECT_EQ(std::count(now.begin(), now.end(), text), 1);
    }
  }
}

TEST_F(PrepareTest, CopiesAreKeptTogetherAndCounted) {
  for (int i = 0; i < 10; ++i) {
    testing::write(folder_ / "corpus" / ("copy" + std::to_string(i) + ".txt"),
                   sample_document(i));
  }
  const PrepareReport report = prepare(options());
  EXPECT_EQ(report.info.duplicate_documents, 10);
  const Dataset dataset = Dataset::open(folder_ / "set");
  std::set<std::string> seen;
  std::size_t total = 0;
  for (const Split split : kSplits) {
    const auto texts = documents(dataset, split);
    const std::set<std::string> here(texts.begin(), texts.end());
    total += texts.size();
    for (const std::string& text : here) {
      EXPECT_TRUE(seen.insert(text).second) << "in two splits: " << text;
    }
  }
  EXPECT_EQ(total, 90U);
}

TEST_F(PrepareTest, TheTokenizerIsTrainedOnTrainingDocumentsOnly) {
  prepare(options());
  const Dataset dataset = Dataset::open(folder_ / "set");
  const auto train = documents(dataset, Split::kTrain);
  const std::vector<std::string_view> texts(train.begin(), train.end());
  EXPECT_EQ(BpeTokenizer(train_bpe(texts, 300)).hash(),
            dataset.info().tokenizer_hash);

  // A word that fills a held-out document must not become a token.
  std::string secret;
  for (int i = 0; SplitRule(0.3).of(secret) == Split::kTrain; ++i) {
    secret = "Secret " + std::to_string(i);
    for (int k = 0; k < 2000; ++k) secret += " zyxzyx";
  }
  testing::write(folder_ / "corpus/secret.txt", secret);
  PrepareOptions again = options();
  again.force = true;
  EXPECT_EQ(prepare(again).info.tokenizer_hash, dataset.info().tokenizer_hash);
}

TEST_F(PrepareTest, AskingAgainForTheSameWritesNothing) {
  const PrepareReport first = prepare(options());
  EXPECT_FALSE(first.already_there);
  const auto path = folder_ / "set/dataset.json";
  const auto written = fs::last_write_time(path);
  fs::rename(folder_ / "corpus/1003.txt", folder_ / "corpus/renamed.txt");
  const PrepareReport second = prepare(options());
  EXPECT_TRUE(second.already_there);
  EXPECT_EQ(second.info.hash, first.info.hash);
  EXPECT_EQ(fs::last_write_time(path), written);
}

TEST_F(PrepareTest, TheSameCorpusGivesTheSameFiles) {
  prepare(options());
  PrepareOptions twin = options();
  twin.out = folder_ / "twin/";
  prepare(twin);
  for (const auto& entry : fs::directory_iterator(folder_ / "set")) {
    EXPECT_EQ(
        core::read_file(entry.path()),
        core::read_file(folder_ / "twin" / entry.path().filename().string()));
  }
  EXPECT_EQ(entries(), (std::vector<std::string>{"corpus", "set", "twin"}));
}

TEST_F(PrepareTest, AnotherDatasetIsReplacedByForceOnly) {
  const std::string old = prepare(options()).info.hash;
  PrepareOptions other = options();
  other.vocabulary = 310;
  expect_error(ErrorKind::kInvalidArgument, {"set", "--force"},
               [&] { prepare(other); });
  EXPECT_EQ(Dataset::open(folder_ / "set").hash(), old);
  other.force = true;
  EXPECT_FALSE(prepare(other).already_there);
  EXPECT_EQ(Dataset::open(folder_ / "set").info().vocabulary, 310);
  EXPECT_EQ(entries(), (std::vector<std::string>{"corpus", "set"}));
}

TEST_F(PrepareTest, ADamagedDatasetIsReportedAndForceRepairsIt) {
  prepare(options());
  testing::write(folder_ / "set/train_000000.bin", "short");
  expect_error(ErrorKind::kCorruptData, {"train_000000.bin", "--force"},
               [&] { prepare(options()); });
  PrepareOptions force = options();
  force.force = true;
  prepare(force);
  EXPECT_NO_THROW((void)Dataset::open(folder_ / "set"));
}

TEST_F(PrepareTest, AFolderThatIsNoDatasetIsNeverReplaced) {
  testing::write(folder_ / "set/thesis.tex", "years of work");
  PrepareOptions force = options();
  force.force = true;
  expect_error(ErrorKind::kInvalidArgument, {"set", "dataset.json"},
               [&] { prepare(force); });
  EXPECT_EQ(core::read_file(folder_ / "set/thesis.tex"), "years of work");
}

TEST_F(PrepareTest, FailureLeavesNothingBehind) {
  PrepareOptions greedy = options();
  greedy.vocabulary = 100'000;
  expect_error(ErrorKind::kInvalidArgument, {"at most", "smaller vocabulary"},
               [&] { prepare(greedy); });
  EXPECT_EQ(entries(), (std::vector<std::string>{"corpus"}));
}

TEST_F(PrepareTest, BytesNeedNoTraining) {
  PrepareOptions bytes = options();
  bytes.tokenizer = TokenizerKind::kBytes;
  const PrepareReport report = prepare(bytes);
  EXPECT_EQ(report.info.vocabulary, 257);
  EXPECT_EQ(report.info.tokenizer_kind, "bytes");
  for (const Split which : kSplits) {
    const SplitInfo& split = report.info.split(which);
    EXPECT_EQ(split.n_tokens, split.bytes + split.n_documents);
  }
  EXPECT_EQ(Dataset::open(folder_ / "set").tokenizer()->kind(), "bytes");
}

TEST_F(PrepareTest, SeveralShardsHoldTheTokensOfOne) {
  prepare(options());
  PrepareOptions many = options();
  many.out = folder_ / "many";
  many.tokens_per_shard = 1000;
  const PrepareReport report = prepare(many);
  EXPECT_GT(report.info.split(Split::kTrain).shards.size(), 3U);
  const Dataset one = Dataset::open(folder_ / "set");
  const Dataset several = Dataset::open(folder_ / "many");
  for (const Split split : kSplits) {
    EXPECT_EQ(one.tokens(split), several.tokens(split));
  }
}

TEST_F(PrepareTest, WhatWasLeftOutOrOddIsCounted) {
  testing::write(folder_ / "corpus/empty.txt", "\n");
  testing::write(folder_ / "corpus/latin.txt", "caf\xE9");
  const PrepareReport report = prepare(options());
  EXPECT_EQ(report.info.empty_documents, 1);
  EXPECT_EQ(report.info.invalid_utf8_documents, 1);
}

TEST_F(PrepareTest, OptionsOutOfRangeAreRefused) {
  PrepareOptions bad = options();
  bad.vocabulary = 256;
  expect_error(ErrorKind::kInvalidArgument, {"vocabulary: got 256", "257"},
               [&] { prepare(bad); });
  bad = options();
  bad.held_out = 1;
  expect_error(ErrorKind::kInvalidArgument, {"held_out: got 1"},
               [&] { prepare(bad); });
}

TEST(Prepare, AnEmptyHalfIsAnErrorThatSaysWhatHelps) {
  const TemporaryFolder folder;
  write_documents(folder / "corpus", 0, 2);
  expect_error(ErrorKind::kInvalidArgument,
               {"split: got 0 documents", "--held-out"}, [&] {
                 prepare({.corpus = folder / "corpus",
                          .out = folder / "set",
                          .vocabulary = 260});
               });
}

}  // namespace
}  // namespace muonlab::data
