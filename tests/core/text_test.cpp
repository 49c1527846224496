#include "muonlab/core/text.h"

#include <gtest/gtest.h>

#include <bit>
#include <cstdlib>
#include <limits>
#include <string>
#include <vector>

#include "muonlab/core/philox.h"

namespace muonlab::core {
namespace {

TEST(Text, ShortestIsShortAndSpellsNonFiniteNumbers) {
  EXPECT_EQ(shortest(0.1), "0.1");
  EXPECT_EQ(shortest(0.1F), "0.1");
  EXPECT_EQ(shortest(1e-8), "1e-08");
  EXPECT_EQ(shortest(0.0), "0");
  EXPECT_EQ(shortest(-2.5), "-2.5");
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  EXPECT_EQ(shortest(kInfinity), "inf");
  EXPECT_EQ(shortest(-kInfinity), "-inf");
  EXPECT_EQ(shortest(std::numeric_limits<double>::quiet_NaN()), "nan");
}

TEST(Text, ShortestReadsBackAsTheSameNumber) {
  const Random random(1, "shortest");
  for (std::uint64_t i = 0; i < 10'000; ++i) {
    const auto value = std::bit_cast<double>(random.bits(0, i));
    if (value != value) continue;
    EXPECT_EQ(std::strtod(shortest(value).c_str(), nullptr), value);
    const auto small =
        std::bit_cast<float>(static_cast<std::uint32_t>(random.bits(1, i)));
    if (small != small) continue;
    EXPECT_EQ(std::strtof(shortest(small).c_str(), nullptr), small);
  }
}

TEST(Text, FixedHasTheDigitsAskedFor) {
  EXPECT_EQ(fixed(3.14159, 2), "3.14");
  EXPECT_EQ(fixed(-0.5, 3), "-0.500");
  EXPECT_EQ(fixed(12.6, 0), "13");
  EXPECT_EQ(fixed(std::numeric_limits<double>::max(), 1).size(), 311U);
  EXPECT_EQ(fixed(std::numeric_limits<double>::quiet_NaN(), 2), "nan");
}

TEST(Text, GroupedPutsACommaBeforeEachThreeDigits) {
  EXPECT_EQ(grouped(0), "0");
  EXPECT_EQ(grouped(999), "999");
  EXPECT_EQ(grouped(1000), "1,000");
  EXPECT_EQ(grouped(1234567), "1,234,567");
  EXPECT_EQ(grouped(-123), "-123");
  EXPECT_EQ(grouped(-123456), "-123,456");
  EXPECT_EQ(grouped(std::numeric_limits<std::int64_t>::min()),
            "-9,223,372,036,854,775,808");
}

TEST(Text, DurationChangesUnitsWithoutShowingSixtySeconds) {
  EXPECT_EQ(duration(0.95), "950 ms");
  EXPECT_EQ(duration(0.9996), "1.0 s");
  EXPECT_EQ(duration(12.34), "12.3 s");
  EXPECT_EQ(duration(99.96), "1m40s");
  EXPECT_EQ(duration(320), "5m20s");
  EXPECT_EQ(duration(3599.6), "1h00m");
  EXPECT_EQ(duration(3720), "1h02m");
  EXPECT_EQ(duration(std::numeric_limits<double>::infinity()), "?");
}

TEST(Text, ByteSizeUsesPowersOfTen) {
  EXPECT_EQ(byte_size(0), "0 B");
  EXPECT_EQ(byte_size(999), "999 B");
  EXPECT_EQ(byte_size(1000), "1.0 kB");
  EXPECT_EQ(byte_size(5.4e6), "5.4 MB");
  EXPECT_EQ(byte_size(999'600), "1.0 MB");
  EXPECT_EQ(byte_size(123e9), "123 GB");
}

TEST(Text, NearestNameFindsSlipsOnly) {
  const std::vector<std::string> names = {"muon", "muonw", "adamw", "lr", "wd"};
  EXPECT_EQ(nearest_name("muno", names), "muon");
  EXPECT_EQ(nearest_name("adam", names), "adamw");
  EXPECT_EQ(nearest_name("muonw", names), "muonw");
  EXPECT_EQ(nearest_name("shampoo", names), "");
  EXPECT_EQ(nearest_name("xy", names), "");  // shares no letter with any
  EXPECT_EQ(nearest_name("", names), "");
  EXPECT_EQ(nearest_name("muon", {}), "");
}

TEST(Text, SuggestionNamesTheNearestOrAllThatAreKnown) {
  const std::vector<std::string> names = {"muon", "adamw"};
  EXPECT_EQ(suggestion("muom", names), "; did you mean 'muon'?");
  EXPECT_EQ(suggestion("shampoo", names), "; known: muon, adamw");
  EXPECT_EQ(suggestion("shampoo", {}), "");
}

TEST(Text, TableSetsNumbersFlushRightAndTextFlushLeft) {
  EXPECT_EQ(
      aligned_table({{"name", "loss"}, {"muon", "3.25"}, {"\xC3\xA9", "10"}}),
      "name  loss\n"
      "muon  3.25\n"
      "\xC3\xA9       10\n");
}

}  // namespace
}  // namespace muonlab::core
