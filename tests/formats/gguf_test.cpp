#include "muonlab/formats/gguf.h"

#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "muonlab/core/error.h"
#include "tests/support/expect_error.h"
#include "tests/support/temporary_folder.h"

namespace muonlab::formats {
namespace {

using testing::expect_error;
using testing::TemporaryFolder;

template <typename Number>
std::string le(Number number) {
  std::string bytes(sizeof number, '\0');
  std::memcpy(bytes.data(), &number, sizeof number);
  return bytes;
}

std::string str(std::string_view text) {
  return le(std::uint64_t{text.size()}).append(text);
}

std::string key(std::string_view name, GgufType type) {
  return str(name) + le(static_cast<std::uint32_t>(type));
}

std::string list(GgufType type, std::uint64_t count) {
  return le(static_cast<std::uint32_t>(type)) + le(count);
}

std::string tensor(std::string_view name, std::vector<std::int64_t> shape,
                   std::uint32_t type, std::uint64_t offset) {
  std::string bytes = str(name) + le(static_cast<std::uint32_t>(shape.size()));
  for (const std::int64_t size : shape) bytes += le(size);
  return bytes + le(type) + le(offset);
}

std::string head(std::uint64_t tensors, std::uint64_t keys,
                 std::uint32_t version = 3) {
  return "GGUF" + le(version) + le(tensors) + le(keys);
}

// Every type of value, three tensors, one of a type that nobody knows.
std::string small_file() {
  std::string bytes = head(3, 15);
  bytes += key("u8", GgufType::kUint8) + le(std::uint8_t{200});
  bytes += key("i8", GgufType::kInt8) + le(std::int8_t{-100});
  bytes += key("u16", GgufType::kUint16) + le(std::uint16_t{60000});
  bytes += key("i16", GgufType::kInt16) + le(std::int16_t{-30000});
  bytes += key("u32", GgufType::kUint32) + le(std::uint32_t{4000000000});
  bytes += key("i32", GgufType::kInt32) + le(std::int32_t{-2000000000});
  bytes += key("u64", GgufType::kUint64) +
           le(std::numeric_limits<std::uint64_t>::max());
  bytes += key("i64", GgufType::kInt64) +
           le(std::numeric_limits<std::int64_t>::min());
  bytes += key("f32", GgufType::kFloat32) + le(0.1F);
  bytes += key("f64", GgufType::kFloat64) + le(0.1);
  bytes += key("yes", GgufType::kBool) + le(std::uint8_t{1});
  bytes += key("name", GgufType::kString) + str("a b\nc");
  bytes += key("words", GgufType::kArray) + list(GgufType::kString, 2) +
           str("one") + str("two");
  bytes += key("nested", GgufType::kArray) + list(GgufType::kArray, 2) +
           list(GgufType::kInt8, 2) + "\x01\xFF" + list(GgufType::kFloat32, 0);
  bytes += key("general.alignment", GgufType::kUint32) + le(std::uint32_t{64});
  bytes += tensor("a", {32, 3}, 3, 0);  // Q4_1: 60 bytes
  bytes += tensor("b", {5}, 0, 64);     // F32: 20 bytes
  bytes += tensor("c", {7, 7}, 9999, 0);
  bytes.resize((bytes.size() + 63) / 64 * 64, '\0');
  return bytes + std::string(64 + 20, '\x5A');
}

class GgufTest : public ::testing::Test {
 protected:
  GgufFile read(const std::string& bytes) {
    testing::write(path_, bytes);
    return read_gguf(path_);
  }
  void expect_corrupt(const std::string& bytes,
                      std::vector<std::string> words) {
    words.emplace_back("x.gguf");
    expect_error(ErrorKind::kCorruptData, words, [&] { (void)read(bytes); });
  }
  static std::string value(const GgufFile& file, const char* key) {
    const GgufValue* found = file.find(key);
    return found == nullptr ? "none" : found->text(40);
  }

  TemporaryFolder folder_;
  std::filesystem::path path_ = folder_ / "x.gguf";
};

TEST_F(GgufTest, ReadsEveryTypeOfValue) {
  const GgufFile file = read(small_file());
  EXPECT_EQ(file.version, 3U);
  EXPECT_EQ(file.metadata.size(), 15U);
  EXPECT_EQ(value(file, "u8"), "200");
  EXPECT_EQ(value(file, "i8"), "-100");
  EXPECT_EQ(value(file, "u16"), "60000");
  EXPECT_EQ(value(file, "i16"), "-30000");
  EXPECT_EQ(value(file, "u32"), "4000000000");
  EXPECT_EQ(value(file, "i32"), "-2000000000");
  EXPECT_EQ(value(file, "u64"), "18446744073709551615");
  EXPECT_EQ(value(file, "i64"), "-9223372036854775808");
  EXPECT_EQ(value(file, "f32"), "0.1");
  EXPECT_EQ(value(file, "f64"), "0.1");
  EXPECT_EQ(value(file, "yes"), "true");
  EXPECT_EQ(value(file, "name"), "a b c");
  EXPECT_EQ(value(file, "words"), "2: one, two");
  EXPECT_EQ(value(file, "nested"), "2: [2], [0]");
  EXPECT_EQ(value(file, "nothing"), "none");
  const auto& nested =
      std::get<std::vector<GgufArray>>(file.array("nested").items);
  EXPECT_EQ(std::get<std::vector<std::int64_t>>(nested[0].items),
            (std::vector<std::int64_t>{1, -1}));
}

TEST_F(GgufTest, LongValuesAreShortenedBetweenCharacters) {
  const GgufFile file = read(head(0, 1) + key("long", GgufType::kString) +
                             str("caf\xC3\xA9 caf\xC3\xA9"));
  EXPECT_EQ(file.find("long")->text(4), "caf...");
  EXPECT_EQ(file.find("long")->text(5), "caf\xC3\xA9...");
  EXPECT_EQ(file.find("long")->text(11), "caf\xC3\xA9 caf\xC3\xA9");
}

TEST_F(GgufTest, ReadsTheTableOfTensors) {
  const std::string bytes = small_file();
  const GgufFile file = read(bytes);
  ASSERT_EQ(file.tensors.size(), 3U);
  EXPECT_EQ(file.data_start, bytes.size() - 84);
  const GgufTensor& first = file.tensors[0];
  EXPECT_EQ(first.name, "a");
  EXPECT_EQ(first.shape, (std::vector<std::int64_t>{32, 3}));
  EXPECT_EQ(gguf_type_name(first.type), "Q4_1");
  EXPECT_EQ(first.bytes, 60U);
  EXPECT_EQ(file.tensors[1].offset, file.data_start + 64);
  EXPECT_EQ(file.tensors[1].bytes, 20U);
  EXPECT_EQ(gguf_type_name(file.tensors[2].type), "type 9999");
  EXPECT_FALSE(file.tensors[2].bytes.has_value());
  EXPECT_EQ(file.missing(), "");
}

TEST_F(GgufTest, SaysWhichTensorIsMissing) {
  const std::string bytes = small_file();
  EXPECT_NE(read(bytes.substr(0, bytes.size() - 1)).missing().find("'b'"),
            std::string::npos);
  EXPECT_NE(read(bytes.substr(0, bytes.size() - 84)).missing().find("'a'"),
            std::string::npos);
}

TEST_F(GgufTest, NamesTheByteOfWhatIsWrong) {
  expect_corrupt("GGML", {"byte 0", "does not begin with GGUF"});
  expect_corrupt("GG", {"byte 0", "expected 4"});
  expect_corrupt(head(0, 1'000'000'000'000), {"byte 24", "1000000000000 keys"});
  expect_corrupt(head(9, 0), {"byte 24", "9 tensors"});
  expect_corrupt(head(0, 1) + le(~std::uint64_t{0}) + "abcde",
                 {"byte 24", "length 18446744073709551615"});
  const std::string words = head(0, 1) + key("words", GgufType::kArray);
  expect_corrupt(words + list(GgufType::kString, std::uint64_t{1} << 61),
                 {concat("byte ", words.size() + 12), "elements"});
  expect_corrupt(head(0, 1) + key("odd", static_cast<GgufType>(13)) + "1234",
                 {"byte 35", "got 13"});
  expect_corrupt(head(0, 1) + key("odd", GgufType::kBool) + "\x02",
                 {"byte 39", "0 or 1"});
  const std::string one = key("k", GgufType::kUint8) + "1";
  expect_corrupt(head(0, 2) + one + one, {"'k' comes twice"});
  const std::string t = tensor("t", {1}, 0, 0);
  expect_corrupt(head(2, 0) + t + t, {"'t' comes twice"});
  expect_corrupt(head(1, 0) + tensor("t", {1, 1, 1, 1, 1}, 0, 0),
                 {"5 dimensions"});
  expect_corrupt(head(1, 0) + tensor("t", {1LL << 40, 1LL << 40}, 0, 0),
                 {"64 bits"});
  expect_corrupt(head(1, 0) + tensor("t", {-1}, 0, 0), {"64 bits"});
  expect_corrupt(head(1, 0) + tensor("t", {33}, 3, 0), {"multiple of 32"});
  expect_corrupt(head(1, 0) + tensor("t", {1}, 0, 5), {"got offset 5"});
  std::string deep = head(0, 1) + key("deep", GgufType::kArray);
  for (int i = 0; i < 1000; ++i) deep += list(GgufType::kArray, 1);
  expect_corrupt(deep, {"arrays in arrays"});
}

TEST_F(GgufTest, OtherVersionsAndMissingFilesAreNamed) {
  expect_error(ErrorKind::kUnsupported, {"byte 4", "got 1"},
               [&] { (void)read(head(0, 0, 1)); });
  EXPECT_EQ(read(head(0, 0, 2)).version, 2U);
  expect_error(ErrorKind::kIo, {"nowhere"},
               [&] { (void)read_gguf(folder_ / "nowhere"); });
}

TEST_F(GgufTest, LookingForWhatIsNotThereNamesTheKey) {
  const GgufFile file = read(small_file());
  EXPECT_EQ(file.text("name"), "a b\nc");
  expect_error(ErrorKind::kCorruptData, {"no string 'u8'"},
               [&] { (void)file.text("u8"); });
  expect_error(ErrorKind::kCorruptData, {"no array 'name'"},
               [&] { (void)file.array("name"); });
}

TEST_F(GgufTest, KnowsItsFilesByTheirBeginning) {
  testing::write(path_, head(0, 0));
  EXPECT_TRUE(is_gguf(path_));
  testing::write(path_, "{\"version\": 1}");
  EXPECT_FALSE(is_gguf(path_));
  testing::write(path_, "GG");
  EXPECT_FALSE(is_gguf(path_));
  EXPECT_FALSE(is_gguf(folder_ / "nowhere"));
}

// Damage is an error or makes another valid file; it never does harm, which the
// sanitizers would notice.
TEST_F(GgufTest, CutAnywhereItIsAnErrorOrSaysWhatIsMissing) {
  const std::string whole = small_file();
  for (std::size_t size = 0; size < whole.size(); ++size) {
    try {
      EXPECT_NE(read(whole.substr(0, size)).missing(), "") << size;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kCorruptData) << size;
    }
  }
}

TEST_F(GgufTest, AnyByteChangedIsAnErrorOrAnotherFile) {
  const std::string whole = small_file();
  for (std::size_t at = 0; at < whole.size() - 84; ++at) {
    for (const int mask : {0x01, 0x80, 0xFF}) {
      std::string bytes = whole;
      bytes[at] = static_cast<char>(bytes[at] ^ mask);
      try {
        (void)read(bytes).missing();
      } catch (const Error& error) {
        EXPECT_TRUE(error.kind() == ErrorKind::kCorruptData ||
                    error.kind() == ErrorKind::kUnsupported)
            << at;
      }
    }
  }
}

}  // namespace
}  // namespace muonlab::formats
