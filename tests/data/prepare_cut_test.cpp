// What `prepare` takes of a corpus, and streams that are split by windows.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "muonlab/core/error.h"
#include "muonlab/core/files.h"
#include "muonlab/data/bpe_tokenizer.h"
#include "muonlab/data/byte_tokenizer.h"
#include "muonlab/data/prepare.h"
#include "muonlab/data/window_split.h"
#include "tests/data/sample_corpus.h"
#include "tests/support/expect_error.h"
#include "tests/support/temporary_folder.h"

namespace muonlab::data {
namespace {

using testing::expect_error;
using testing::TemporaryFolder;
using Ids = std::vector<std::int32_t>;

class PrepareCutTest : public ::testing::Test {
 protected:
  // Three short documents; the second has characters of two and three bytes.
  PrepareCutTest() {
    testing::write(folder_ / "corpus/a.txt", "first one");
    testing::write(folder_ / "corpus/b.txt", "h\xC3\xA9\xE2\x82\xACllo");
    testing::write(folder_ / "corpus/c.txt", "the third");
  }

  PrepareOptions options() const {
    return {.corpus = folder_ / "corpus",
            .out = folder_ / "set",
            .tokenizer = TokenizerKind::kBytes,
            .split = SplitBy::kWindows};
  }

  // The stream as text, with | for separators.
  std::string stream() const {
    const Dataset dataset = Dataset::open(folder_ / "set");
    std::string text;
    for (const std::int32_t id : dataset.tokens(Split::kTrain)) {
      text += id == dataset.tokenizer()->separator()
                  ? "|"
                  : dataset.tokenizer()->decode(Ids{id});
    }
    return text;
  }

  TemporaryFolder folder_;
};

TEST_F(PrepareCutTest, AStreamHoldsAllDocumentsInTheirOwnOrder) {
  const PrepareReport report = prepare(options());
  EXPECT_EQ(stream(), "|first one|h\xC3\xA9\xE2\x82\xACllo|the third");
  EXPECT_EQ(report.info.split_rule, "windows/mt19937/seed=42/held_out=0.1");
  EXPECT_TRUE(report.info.split_by_windows());
  EXPECT_EQ(report.info.cut, Cut());
  const Dataset dataset = Dataset::open(folder_ / "set");
  for (const Split which : {Split::kSelection, Split::kReporting}) {
    EXPECT_EQ(dataset.info().split(which).n_documents, 0);
    EXPECT_TRUE(dataset.info().split(which).shards.empty());
    EXPECT_TRUE(dataset.tokens(which).empty());
  }
}

TEST_F(PrepareCutTest, TheHeldOutShareIsNoted) {
  PrepareOptions share = options();
  share.held_out = 0.25;
  EXPECT_EQ(WindowRule::parse(prepare(share).info.split_rule).held_out_share,
            0.25);
}

TEST_F(PrepareCutTest, DocumentsCharactersAndSeparators) {
  PrepareOptions cut = options();
  cut.documents = 2;
  cut.characters = 3;
  cut.separators = false;
  const DatasetInfo info = prepare(cut).info;
  EXPECT_EQ(stream(), "firh\xC3\xA9\xE2\x82\xAC");
  EXPECT_EQ(info.split(Split::kTrain).n_documents, 2);
  EXPECT_EQ(info.split(Split::kTrain).bytes, 9);
  const Cut expected{.separators = false,
                     .documents = 2,
                     .characters = 3,
                     .tokens = 0,
                     .dropped_documents = 1,
                     .dropped_characters = 6 + 3,
                     .dropped_tokens = 0};
  EXPECT_EQ(info.cut, expected);
  EXPECT_EQ(read_sidecar(folder_ / "set").cut, expected);
}

TEST_F(PrepareCutTest, TheStreamIsCutAtATokenWhateverTheShards) {
  for (const std::int64_t per_shard : {4, 100}) {
    PrepareOptions cut = options();
    cut.tokens = 13;
    cut.tokens_per_shard = per_shard;
    cut.force = true;
    const DatasetInfo info = prepare(cut).info;
    // Inside a character: tokens are bytes here.
    EXPECT_EQ(stream(), "|first one|h\xC3");
    EXPECT_EQ(info.split(Split::kTrain).n_tokens, 13);
    EXPECT_EQ(info.split(Split::kTrain).n_documents, 2);
    EXPECT_EQ(info.split(Split::kTrain).bytes, 11);
    EXPECT_EQ(info.cut.dropped_documents, 1);
    EXPECT_EQ(info.cut.dropped_characters, 0);
    EXPECT_EQ(info.cut.dropped_tokens, 7 + 10);
  }
}

TEST_F(PrepareCutTest, LimitsAboveWhatIsThereTakeEverything) {
  PrepareOptions wide = options();
  wide.documents = 99;
  wide.characters = 999;
  wide.tokens = 9999;
  const DatasetInfo info = prepare(wide).info;
  EXPECT_EQ(info.split(Split::kTrain).n_tokens, 3 * (1 + 9));
  EXPECT_EQ(info.cut.tokens, 9999);
  EXPECT_EQ(info.cut.dropped_documents, 0);
  EXPECT_EQ(info.cut.dropped_characters, 0);
  EXPECT_EQ(info.cut.dropped_tokens, 0);
}

TEST_F(PrepareCutTest, EverySettingTellsDatasetsApart) {
  prepare(options());
  EXPECT_TRUE(prepare(options()).already_there);
  std::vector<PrepareOptions> others(6, options());
  others[0].tokens = 9999;
  others[1].separators = false;
  others[2].documents = 3;
  others[3].characters = 999;
  others[4].held_out = 0.2;
  others[5].documents = 2;
  for (const PrepareOptions& other : others) {
    expect_error(ErrorKind::kInvalidArgument, {"other settings"},
                 [&] { prepare(other); });
  }
  // So does the order of the documents, which the stream has.
  std::filesystem::rename(folder_ / "corpus/a.txt", folder_ / "corpus/x.txt");
  expect_error(ErrorKind::kInvalidArgument, {"another corpus"},
               [&] { prepare(options()); });
}

TEST_F(PrepareCutTest, CombinationsWithoutMeaningAreRefused) {
  PrepareOptions bad = options();
  bad.split = SplitBy::kDocuments;
  bad.tokens = 10;
  expect_error(ErrorKind::kInvalidArgument,
               {"tokens: got 10", "--split windows"}, [&] { prepare(bad); });
  bad = options();
  bad.characters = -1;
  expect_error(ErrorKind::kInvalidArgument, {"characters: got -1"},
               [&] { prepare(bad); });
  bad = options();
  bad.tokenizer_file = "some.json";
  expect_error(ErrorKind::kInvalidArgument, {"tokenizer_file: got 'some.json'"},
               [&] { prepare(bad); });
  bad = options();
  bad.held_out = 0;
  expect_error(ErrorKind::kInvalidArgument, {"held_out_share: got 0"},
               [&] { prepare(bad); });
}

// Loaded from a file, a tokenizer is used as it is.
class PrepareWithTokenizerTest : public ::testing::Test {
 protected:
  PrepareWithTokenizerTest() {
    write_documents(folder_ / "corpus", 0, 60);
    const std::string one = sample_document(100);
    const std::string two = sample_document(200) + sample_document(201);
    BpeTokenizer(train_bpe(std::vector<std::string_view>{one}, 270))
        .save(folder_ / "one.json");
    BpeTokenizer(train_bpe(std::vector<std::string_view>{two}, 270))
        .save(folder_ / "two.json");
  }

  PrepareOptions options(const char* file) const {
    return {.corpus = folder_ / "corpus",
            .out = folder_ / "set",
            .tokenizer = TokenizerKind::kFile,
            .tokenizer_file = folder_ / file,
            .held_out = 0.3};
  }

  TemporaryFolder folder_;
};

TEST_F(PrepareWithTokenizerTest, ItsIdsAreWritten) {
  prepare(options("one.json"));
  const auto tokenizer = load_tokenizer(folder_ / "one.json");
  const Dataset dataset = Dataset::open(folder_ / "set");
  EXPECT_TRUE(dataset.info().tokenizer_from_file);
  EXPECT_EQ(dataset.info().vocabulary, 270);
  EXPECT_EQ(dataset.tokenizer()->hash(), tokenizer->hash());
  Ids first = {tokenizer->separator()};
  const auto& all = dataset.tokens(Split::kTrain);
  const auto end =
      std::find(all.begin() + 1, all.end(), tokenizer->separator());
  const Ids ids =
      tokenizer->encode(dataset.tokenizer()->decode(Ids(all.begin() + 1, end)));
  first.insert(first.end(), ids.begin(), ids.end());
  EXPECT_EQ(Ids(all.begin(), end), first);
}

TEST_F(PrepareWithTokenizerTest, AnotherOfTheSameSizeIsAnotherDataset) {
  prepare(options("one.json"));
  EXPECT_TRUE(prepare(options("one.json")).already_there);
  expect_error(ErrorKind::kInvalidArgument, {"other settings"},
               [&] { prepare(options("two.json")); });
  PrepareOptions trained = options("one.json");
  trained.tokenizer = TokenizerKind::kBpe;
  trained.tokenizer_file.clear();
  trained.vocabulary = 270;
  expect_error(ErrorKind::kInvalidArgument, {"other settings"},
               [&] { prepare(trained); });
}

TEST_F(PrepareWithTokenizerTest, NoDocumentIsHeldOutOfAStream) {
  PrepareOptions stream = options("one.json");
  stream.split = SplitBy::kWindows;
  EXPECT_EQ(prepare(stream).info.split(Split::kTrain).n_documents, 60);
}

TEST_F(PrepareWithTokenizerTest, BytesFromAFileAreBytes) {
  ByteTokenizer().save(folder_ / "bytes.json");
  EXPECT_EQ(prepare(options("bytes.json")).info.tokenizer_kind, "bytes");
}

TEST_F(PrepareWithTokenizerTest, DocumentsWithoutSeparatorsAreSplitAsEver) {
  PrepareOptions bare = options("one.json");
  bare.separators = false;
  bare.characters = 50;
  prepare(bare);
  const Dataset dataset = Dataset::open(folder_ / "set");
  std::int64_t documents = 0;
  for (const Split which : kSplits) {
    const auto& tokens = dataset.tokens(which);
    EXPECT_EQ(std::count(tokens.begin(), tokens.end(),
                         dataset.tokenizer()->separator()),
              0);
    documents += dataset.info().split(which).n_documents;
    // Characters here are bytes.
    EXPECT_EQ(std::ssize(dataset.tokenizer()->decode(tokens)),
              50 * dataset.info().split(which).n_documents);
  }
  EXPECT_EQ(documents, 60);
}

// A sidecar that has its hash, but not the splits that its rule asks for.
class EmptySplitTest : public PrepareCutTest {
 protected:
  EmptySplitTest() { info_ = prepare(options()).info; }

  void expect_refused(const std::vector<std::string>& words) {
    info_.hash = dataset_hash(info_);
    core::write_file(folder_ / "set/dataset.json", to_json(info_));
    expect_error(ErrorKind::kCorruptData, words,
                 [&] { (void)Dataset::open(folder_ / "set"); });
  }

  DatasetInfo info_;
};

TEST_F(EmptySplitTest, IsRefusedWhereDocumentsAreSplit) {
  info_.split_rule = SplitRule(0.1).text();
  expect_refused({"'splits.selection.n_tokens': got 0, expected 1 or more"});
}

TEST_F(EmptySplitTest, IsExpectedWhereWindowsAreSplit) {
  info_.split(Split::kReporting) = info_.split(Split::kTrain);
  expect_refused({"'splits.reporting.n_tokens': got 30, expected 0"});
}

TEST_F(EmptySplitTest, NeverIsTheTrainingSplit) {
  info_.split(Split::kTrain) = {};
  expect_refused({"'splits.train.n_tokens': got 0, expected 1 or more"});
}

TEST_F(EmptySplitTest, AndTheRuleMustBeOneThatCanBeFollowed) {
  info_.split_rule = "windows/shuffled";
  expect_refused({"'split_rule'", "got 'windows/shuffled'"});
}

}  // namespace
}  // namespace muonlab::data
