#include "muonlab/data/utf8.h"

#include <gtest/gtest.h>

namespace muonlab::data {
namespace {

// 1, 2, 3 and 4 bytes, a byte of no character, a sequence cut short.
constexpr std::string_view kMixed =
    "a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\xFFz\xE2\x82";

TEST(Utf8, CharactersAreCodePointsAndStrayBytes) {
  EXPECT_EQ(count_characters(""), 0U);
  EXPECT_EQ(count_characters("plain"), 5U);
  EXPECT_EQ(count_characters(kMixed), 8U);
}

TEST(Utf8, APrefixEndsBetweenCharacters) {
  const std::size_t ends[] = {0, 1, 3, 6, 10, 11, 12, 13, 14};
  for (std::size_t n = 0; n < std::size(ends); ++n) {
    EXPECT_EQ(prefix_of_characters(kMixed, n), ends[n]) << n;
  }
  EXPECT_EQ(prefix_of_characters(kMixed, 9), kMixed.size());
  EXPECT_EQ(prefix_of_characters(kMixed, static_cast<std::size_t>(-1)),
            kMixed.size());
}

}  // namespace
}  // namespace muonlab::data
