#include "muonlab/formats/safetensors.h"

#include <gtest/gtest.h>

#include <array>
#include <ostream>
#include <string>
#include <vector>

#include "muonlab/core/files.h"
#include "muonlab/formats/json.h"
#include "tests/support/expect_error.h"
#include "tests/support/temporary_folder.h"

namespace muonlab::formats {
namespace {

using testing::expect_error;
using testing::TemporaryFolder;

std::string length_prefix(std::uint64_t length) {
  std::string bytes;
  for (int i = 0; i < 8; ++i) {
    bytes.push_back(static_cast<char>((length >> (8 * i)) & 0xff));
  }
  return bytes;
}

std::string file_of(const std::string& header, const std::string& data) {
  return length_prefix(header.size()) + header + data;
}

std::span<const std::byte> bytes(const std::string& text) {
  return std::as_bytes(std::span(text));
}

std::string text(std::span<const std::byte> span) {
  return {reinterpret_cast<const char*>(span.data()), span.size()};
}

// "a" holds the bytes 01234567, "b" holds 89.
constexpr const char* kHeader =
    R"({"__metadata__":{"k":"v"},)"
    R"("a":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]},)"
    R"("b":{"dtype":"U8","shape":[2],"data_offsets":[8,10]}})";

TEST(Safetensors, ReadsAFileMadeByHand) {
  const TemporaryFolder folder;
  testing::write(folder / "x", file_of(kHeader, "0123456789"));
  const SafetensorsFile file(folder / "x");
  ASSERT_EQ(file.tensors().size(), 2U);
  EXPECT_EQ(file.metadata().at("k"), "v");
  const auto& a = file.tensors().at("a");
  EXPECT_EQ(a.dtype, "F32");
  EXPECT_EQ(a.shape, (std::vector<std::int64_t>{1, 2}));
  EXPECT_EQ(text(a.bytes), "01234567");
  EXPECT_EQ(text(file.tensors().at("b").bytes), "89");
}

TEST(Safetensors, TensorsMayLieInAnotherOrderThanTheirNames) {
  const TemporaryFolder folder;
  testing::write(
      folder / "x",
      file_of(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[2,3]},)"
              R"("e":{"dtype":"U8","shape":[0],"data_offsets":[2,2]},)"
              R"("b":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})",
              "xyz"));
  const SafetensorsFile file(folder / "x");
  EXPECT_EQ(text(file.tensors().at("a").bytes), "z");
  EXPECT_EQ(text(file.tensors().at("b").bytes), "xy");
  EXPECT_TRUE(file.tensors().at("e").bytes.empty());
}

TEST(Safetensors, WritesTheBytesOfTheFormat) {
  const TemporaryFolder folder;
  const std::string a = "01234567";
  const std::string b = "89";
  const std::array<SafetensorsEntry, 2> entries = {
      {{.name = "a", .dtype = "F32", .shape = {1, 2}, .bytes = bytes(a)},
       {.name = "b", .dtype = "U8", .shape = {2}, .bytes = bytes(b)}}};
  write_safetensors(folder / "x", entries, {{"k", "v"}});
  std::string header =
      R"({"__metadata__":{"format":"pt","k":"v"},)"
      R"("a":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]},)"
      R"("b":{"dtype":"U8","shape":[2],"data_offsets":[8,10]}})";
  while (header.size() % 8 != 0) header += ' ';
  EXPECT_EQ(core::read_file(folder / "x"), file_of(header, "0123456789"));
}

TEST(Safetensors, DataStartAtAMultipleOfEight) {
  const TemporaryFolder folder;
  const std::string data = "d";
  for (std::size_t length = 1; length <= 16; ++length) {
    const std::array<SafetensorsEntry, 1> entries = {
        {{.name = std::string(length, 'n'),
          .dtype = "U8",
          .shape = {1},
          .bytes = bytes(data)}}};
    write_safetensors(folder / "x", entries, {});
    const std::string content = core::read_file(folder / "x");
    EXPECT_EQ((content.size() - 1) % 8, 0U);
    EXPECT_EQ(content.substr(0, 8), length_prefix(content.size() - 9));
    EXPECT_EQ(SafetensorsFile(folder / "x").tensors().size(), 1U);
  }
}

TEST(Safetensors, AFileWithoutTensorsIsAFile) {
  const TemporaryFolder folder;
  write_safetensors(folder / "x", {}, {});
  EXPECT_TRUE(SafetensorsFile(folder / "x").tensors().empty());
}

struct Fault {
  std::string name;
  std::string content;
  std::string offset;  // at which byte of the file it is reported
  std::string words;
};

void PrintTo(const Fault& fault, std::ostream* out) { *out << fault.name; }

std::string tensor(const std::string& name, const std::string& dtype,
                   const std::string& shape, const std::string& offsets) {
  return "\"" + name + "\":{\"dtype\":\"" + dtype + "\",\"shape\":[" + shape +
         "],\"data_offsets\":[" + offsets + "]}";
}

std::string at_byte(std::size_t offset) {
  return "at byte " + std::to_string(offset);
}

std::vector<Fault> faults() {
  const std::string a = "{" + tensor("a", "U8", "4", "0,4");
  const std::string one = a + "}";
  const std::size_t data = 8 + one.size();  // where the data of `one` start
  const std::string hole = a + "," + tensor("b", "U8", "2", "6,8") + "}";
  const std::string overlap = a + "," + tensor("b", "U8", "4", "2,6") + "}";
  const std::string twice = a + "," + tensor("a", "U8", "4", "0,4") + "}";
  const auto alone = [](const std::string& dtype, const std::string& shape,
                        const std::string& offsets) {
    return file_of("{" + tensor("a", dtype, shape, offsets) + "}", "0123");
  };
  return {
      {"Empty", "", at_byte(0), "0 bytes"},
      {"ShorterThanALength", "1234567", at_byte(0), "7 bytes"},
      {"ShorterThanItsHeader", length_prefix(50) + "{}", at_byte(0),
       "header length 50"},
      {"HeaderBeyondTheLimit", length_prefix(~std::uint64_t{0}) + "{}",
       at_byte(0), "header length"},
      {"Foreign", "PK\3\4, a zip file and no safetensors", at_byte(0),
       "header length"},
      {"NoJson", file_of("{\"a\":", ""), at_byte(8), "header"},
      {"JsonButNoObject", file_of("[]", ""), at_byte(8), "header"},
      {"JsonNull", file_of("null", ""), at_byte(8), "header"},
      {"TensorIsANumber", file_of("{\"a\":1}", ""), at_byte(8), "header"},
      {"NoDtype", file_of(R"({"a":{"shape":[0],"data_offsets":[0,0]}})", ""),
       at_byte(8), "dtype"},
      {"MetadataOfNumbers", file_of(R"({"__metadata__":{"k":1}})", ""),
       at_byte(8), "header"},
      {"UnknownDtype", alone("F7", "4", "0,4"), at_byte(8), "F7"},
      {"DuplicateName", file_of(twice, "0123"), at_byte(8), R"("a" twice)"},
      {"NegativeShape", alone("U8", "-4", "0,4"), "at byte ", "'a'"},
      {"TwoNegativeDimensions", alone("U8", "-2,-2", "0,4"), "at byte ", "'a'"},
      {"ShapeOverflow", alone("U8", "4294967296,4294967296", "0,4"), "at byte ",
       "'a'"},
      {"SizeAgainstShape", alone("U8", "3", "0,4"), "at byte ", "needs 3"},
      {"SizeAgainstDtype", alone("F32", "4", "0,4"), "at byte ", "needs 16"},
      {"OneOffset", alone("U8", "4", "4"), "at byte ", "offsets"},
      {"OffsetsBackwards", alone("U8", "4", "4,0"), "at byte ", "offsets"},
      {"NegativeOffset", alone("U8", "4", "-4,0"), "at byte ", "offsets"},
      {"OffsetsBeyondTheEnd", alone("U8", "5", "0,5"), "at byte ", "outside"},
      {"FractionalOffset", alone("U8", "4", "0.5,4.5"), "at byte ", ""},
      {"Short", file_of(one, "012"), at_byte(data), "outside the file"},
      {"Hole", file_of(hole, "01234567"), at_byte(8 + hole.size() + 4),
       "hole or overlap"},
      {"Overlap", file_of(overlap, "012345"), at_byte(8 + overlap.size() + 4),
       "hole or overlap"},
      {"TrailingBytes", file_of(one, "0123zz"), at_byte(data + 4), "2 bytes"},
  };
}

class SafetensorsFault : public ::testing::TestWithParam<Fault> {};

TEST_P(SafetensorsFault, IsAnErrorThatNamesFileAndByte) {
  const TemporaryFolder folder;
  testing::write(folder / "bad.safetensors", GetParam().content);
  expect_error(ErrorKind::kCorruptData,
               {"bad.safetensors", GetParam().offset, GetParam().words}, [&] {
                 (void)SafetensorsFile(folder / "bad.safetensors").tensors();
               });
}

INSTANTIATE_TEST_SUITE_P(All, SafetensorsFault, ::testing::ValuesIn(faults()),
                         [](const auto& fault) { return fault.param.name; });

TEST(Safetensors, RefusesEntriesThatContradictThemselves) {
  const TemporaryFolder folder;
  const std::string data = "0123";
  const auto write = [&](std::vector<SafetensorsEntry> entries) {
    return [&folder, entries = std::move(entries)] {
      write_safetensors(folder / "x", entries, {});
    };
  };
  const SafetensorsEntry good = {
      .name = "w", .dtype = "U8", .shape = {4}, .bytes = bytes(data)};
  SafetensorsEntry bad = good;
  bad.shape = {5};
  expect_error(ErrorKind::kInvalidArgument, {"'w'", "4 bytes", "expected 5"},
               write({bad}));
  expect_error(ErrorKind::kInvalidArgument, {"'w'", "twice"},
               write({good, good}));
  bad = good;
  bad.dtype = "F9";
  expect_error(ErrorKind::kUnsupported, {"F9"}, write({bad}));
  EXPECT_FALSE(std::filesystem::exists(folder / "x"));
}

TEST(Safetensors, KnowsTheSizeOfEachElement) {
  EXPECT_EQ(safetensors_element_size("F64"), 8U);
  EXPECT_EQ(safetensors_element_size("F32"), 4U);
  EXPECT_EQ(safetensors_element_size("BF16"), 2U);
  EXPECT_EQ(safetensors_element_size("BOOL"), 1U);
  expect_error(ErrorKind::kUnsupported, {"'X'"},
               [] { (void)safetensors_element_size("X"); });
}

}  // namespace
}  // namespace muonlab::formats
