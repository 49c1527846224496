#include "muonlab/data/shard.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <string>
#include <vector>

#include "muonlab/core/error.h"
#include "muonlab/core/files.h"
#include "muonlab/core/hash.h"
#include "tests/support/expect_error.h"
#include "tests/support/temporary_folder.h"

namespace muonlab::data {
namespace {

using testing::expect_error;
using testing::TemporaryFolder;

std::string little_endian(std::uint32_t value) {
  std::string bytes;
  for (int i = 0; i < 4; ++i) {
    bytes.push_back(static_cast<char>(value >> (8 * i)));
  }
  return bytes;
}

TEST(Shard, HasTheBytesOfLlmC) {
  const std::vector<std::int32_t> tokens = {1, 0x1234};
  std::string header = little_endian(20240520) + little_endian(1) +
                       little_endian(2) + std::string(1012, '\0');
  EXPECT_EQ(encode_shard(tokens, 65536),
            header + std::string("\x01\x00\x34\x12", 4));
  header = little_endian(20240801) + little_endian(7) + little_endian(2) +
           std::string(1012, '\0');
  EXPECT_EQ(encode_shard(tokens, 65537),
            header + std::string("\x01\0\0\0\x34\x12\0\0", 8));
}

TEST(Shard, ComesBackInBothWidths) {
  const TemporaryFolder folder;
  for (const std::int64_t vocabulary : {257, 65536, 65537, 200000}) {
    std::vector<std::int32_t> tokens(1000);
    std::iota(tokens.begin(), tokens.end(),
              static_cast<std::int32_t>(vocabulary) - 1000);
    for (auto& token : tokens) token = std::max(token, 0);
    const std::string hash = write_shard(folder / "x.bin", tokens, vocabulary);
    EXPECT_EQ(read_shard(folder / "x.bin", vocabulary), tokens);
    EXPECT_EQ(hash, core::sha256_file(folder / "x.bin"));
  }
  write_shard(folder / "x.bin", {}, 300);
  EXPECT_TRUE(read_shard(folder / "x.bin", 300).empty());
}

TEST(Shard, RefusesToWriteIdsOutsideTheVocabulary) {
  const std::vector<std::int32_t> tokens = {1, 2, 300};
  expect_error(ErrorKind::kInvalidArgument, {"token 2", "300", "0 to 299"},
               [&] { (void)encode_shard(tokens, 300); });
  const std::vector<std::int32_t> negative = {-1};
  EXPECT_THROW((void)encode_shard(negative, 300), Error);
}

TEST(Shard, DamageIsReportedWithFileAndOffset) {
  const TemporaryFolder folder;
  const auto path = folder / "train_000000.bin";
  std::vector<std::int32_t> tokens(100, 7);
  write_shard(path, tokens, 300);
  const std::string whole = core::read_file(path);
  const auto expect_corrupt = [&](const std::string& bytes,
                                  std::vector<std::string> words) {
    testing::write(path, bytes);
    words.push_back("train_000000.bin: byte ");
    words.push_back("data prepare");
    expect_error(ErrorKind::kCorruptData, words,
                 [&] { (void)read_shard(path, 300); });
  };
  expect_corrupt("", {"byte 0:", "inside the header"});
  expect_corrupt(whole.substr(0, 700), {"byte 700:", "got 700 bytes"});
  expect_corrupt(whole.substr(0, 1223), {"byte 1223:", "expected 1224"});
  expect_corrupt(whole + "x", {"byte 1224:", "got 1225"});
  const auto with = [&whole](std::size_t offset, const std::string& bytes) {
    std::string changed = whole;
    return changed.replace(offset, bytes.size(), bytes);
  };
  expect_corrupt(with(0, "GGUF"), {"byte 0:", "magic", "20240520"});
  expect_corrupt(with(4, little_endian(2)), {"byte 4:", "got 2, expected 1"});
  expect_corrupt(with(8, little_endian(0x80000000)), {"byte 8:", "tokens"});
  expect_corrupt(with(8, little_endian(101)), {"byte 1224:", "expected 1226"});
  // 300 = 0x012C at token 50
  expect_corrupt(with(1124, std::string("\x2C\x01", 2)),
                 {"byte 1124:", "got 300, expected 0 to 299"});
  testing::write(path, whole);
  EXPECT_EQ(read_shard(path, 300), tokens);
}

TEST(Shard, AMissingFileIsAnIoError) {
  const TemporaryFolder folder;
  expect_error(ErrorKind::kIo, {"x.bin"},
               [&] { (void)read_shard(folder / "x.bin", 300); });
}

}  // namespace
}  // namespace muonlab::data
