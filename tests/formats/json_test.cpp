#include "muonlab/formats/json.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "muonlab/core/files.h"
#include "tests/support/expect_error.h"
#include "tests/support/temporary_folder.h"

namespace muonlab::formats {
namespace {

using testing::expect_error;

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

TEST(JsonNumber, IsTheShortestDecimalOfItsOwnType) {
  EXPECT_EQ(json_number(0.1F).dump(), "0.1");
  EXPECT_EQ(json_number(1e-8F).dump(), "1e-08");
  EXPECT_EQ(json_number(3.4028235e38F).dump(), "3.4028235e+38");
  EXPECT_EQ(json_number(0.1).dump(), "0.1");
  EXPECT_EQ(json_number(static_cast<double>(0.1F)).dump(),
            "0.10000000149011612");
  EXPECT_EQ(json_number(-0.0).dump(), "-0.0");
}

TEST(JsonNumber, ReadsBackAsTheSameFloat) {
  float value = 1e-30F;
  for (int i = 0; i < 500; ++i) {
    value = value * 1.31F + 1e-33F;
    const Json read = Json::parse(json_number(value).dump());
    EXPECT_EQ(static_cast<float>(number_from_json(read, "x")), value);
  }
}

TEST(JsonNumber, WritesNonFiniteNumbersAsText) {
  EXPECT_EQ(json_number(kNan).dump(), "\"nan\"");
  EXPECT_EQ(json_number(kInf).dump(), "\"inf\"");
  EXPECT_EQ(json_number(-kInf).dump(), "\"-inf\"");
  EXPECT_EQ(json_number(std::numeric_limits<float>::quiet_NaN()).dump(),
            "\"nan\"");
  EXPECT_EQ(json_number(-std::numeric_limits<float>::infinity()).dump(),
            "\"-inf\"");
}

TEST(NumberFromJson, IsTheInverse) {
  for (const double value : {0.0, -1.5, 1e300, 5e-324, kInf, -kInf}) {
    EXPECT_EQ(number_from_json(json_number(value), "x"), value);
  }
  EXPECT_TRUE(std::isnan(number_from_json(json_number(kNan), "x")));
  EXPECT_EQ(number_from_json(Json(7), "x"), 7.0);
}

TEST(NumberFromJson, NamesWhatIsNotANumber) {
  for (const char* text : {"null", "true", "\"NaN\"", "\"1\"", "[1]", "{}"}) {
    expect_error(ErrorKind::kCorruptData, {"the loss", text}, [&] {
      (void)number_from_json(Json::parse(text), "the loss");
    });
  }
}

TEST(ReadJson, NamesTheFileAndTheByteOfAFault) {
  const testing::TemporaryFolder folder;
  testing::write(folder / "x.json", "{\"a\": 1,, }");
  expect_error(ErrorKind::kCorruptData, {"x.json", "byte 9"},
               [&] { (void)read_json(folder / "x.json"); });
  testing::write(folder / "empty.json", "");
  expect_error(ErrorKind::kCorruptData, {"empty.json"},
               [&] { (void)read_json(folder / "empty.json"); });
  expect_error(ErrorKind::kIo, {"missing.json"},
               [&] { (void)read_json(folder / "missing.json"); });
}

TEST(WriteJson, KeepsTheOrderAndEndsTheLine) {
  const testing::TemporaryFolder folder;
  const Json value = {{"z", 1}, {"a", {1, 2}}};
  write_json(folder / "x.json", value);
  EXPECT_EQ(core::read_file(folder / "x.json"),
            "{\n  \"z\": 1,\n  \"a\": [\n    1,\n    2\n  ]\n}\n");
  EXPECT_EQ(read_json(folder / "x.json"), value);
}

}  // namespace
}  // namespace muonlab::formats
