#include "muonlab/data/pretokenize.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

#include "muonlab/core/philox.h"

namespace muonlab::data {
namespace {

using Pieces = std::vector<std::string>;

Pieces pieces(std::string_view text,
              PretokenizerKind kind = PretokenizerKind::kGpt2) {
  const Pretokenizer pretokenizer(kind);
  Pieces result;
  pretokenizer.split(
      text, [&](std::string_view piece) { result.emplace_back(piece); });
  return result;
}

TEST(Pretokenizer, FollowsGpt2sPattern) {
  EXPECT_EQ(pieces(""), Pieces{});
  EXPECT_EQ(pieces("It's 1790,  sir!\n\nWe'll"),
            (Pieces{"It", "'s", " 1790", ",", " ", " sir", "!", "\n", "\n",
                    "We", "'ll"}));
  EXPECT_EQ(pieces("a   b"), (Pieces{"a", "  ", " b"}));
  EXPECT_EQ(pieces("a   "), (Pieces{"a", "   "}));
  EXPECT_EQ(pieces("I'LL"), (Pieces{"I", "'", "LL"}));
}

TEST(Pretokenizer, KnowsUnicodesLettersNumbersAndWhiteSpace) {
  EXPECT_EQ(pieces("caf\xC3\xA9 \xC2\xB2"),
            (Pieces{"caf\xC3\xA9", " \xC2\xB2"}));
  // U+00A0 and U+3000 are white space, but only U+0020 joins a word.
  EXPECT_EQ(pieces("a\xC2\xA0"
                   "b"),
            (Pieces{"a", "\xC2\xA0", "b"}));
  EXPECT_EQ(pieces("a\xE3\x80\x80"
                   "b"),
            (Pieces{"a", "\xE3\x80\x80", "b"}));
  EXPECT_EQ(pieces("a\xC2\x85\xC2\x85"
                   "b"),
            (Pieces{"a", "\xC2\x85", "\xC2\x85", "b"}));
  // U+180E is none since Unicode 6.3: it joins the blank before it.
  EXPECT_EQ(pieces("a \xE1\xA0\x8E"
                   "b"),
            (Pieces{"a", " \xE1\xA0\x8E", "b"}));
  EXPECT_EQ(pieces("hi\xF0\x9F\x98\x80"), (Pieces{"hi", "\xF0\x9F\x98\x80"}));
}

TEST(Pretokenizer, SmollmHasEachDigitByItself) {
  const auto smollm = [](std::string_view text) {
    return pieces(text, PretokenizerKind::kSmollm);
  };
  EXPECT_EQ(smollm("in 1790,  sir!\n\nWe'll"),
            (Pieces{"in", " ", "1", "7", "9", "0", ",", " ", " sir", "!", "\n",
                    "\n", "We", "'ll"}));
  // White space before a digit is whole, as at the end of the text.
  EXPECT_EQ(smollm("a  5"), (Pieces{"a", "  ", "5"}));
  EXPECT_EQ(pieces("a  5"), (Pieces{"a", " ", " 5"}));
  EXPECT_EQ(smollm("a \n 5 b"), (Pieces{"a", " \n ", "5", " b"}));
  EXPECT_EQ(smollm("'s5's"), (Pieces{"'s", "5", "'s"}));
  // One half, Arabic three and four, roman twelve.
  EXPECT_EQ(
      smollm("x\xC2\xBD\xD9\xA3\xD9\xA4 \xE2\x85\xAB"),
      (Pieces{"x", "\xC2\xBD", "\xD9\xA3", "\xD9\xA4", " ", "\xE2\x85\xAB"}));
  EXPECT_EQ(smollm("1\xFF"
                   "2"),
            (Pieces{"1", "\xFF", "2"}));
}

TEST(Pretokenizer, InvalidBytesArePiecesOfTheirOwn) {
  EXPECT_EQ(pieces("caf\xE9\xFF in"), (Pieces{"caf", "\xE9\xFF", " in"}));
  EXPECT_EQ(pieces("\xC3"), (Pieces{"\xC3"}));
  EXPECT_EQ(pieces("a \xFF"), (Pieces{"a", " ", "\xFF"}));
}

TEST(Pretokenizer, PiecesOfAnyBytesAddUpToTheText) {
  const core::Random random(11, "bytes");
  for (std::uint64_t round = 0; round < 200; ++round) {
    const auto kind =
        round % 2 == 0 ? PretokenizerKind::kGpt2 : PretokenizerKind::kSmollm;
    std::string text;
    for (std::uint64_t i = 0; i < 300; ++i) {
      const std::uint64_t bits = random.bits(round, i);
      // Mostly ASCII, so that words and blanks occur beside broken UTF-8.
      const std::uint64_t mask = (bits >> 32) % 4 == 0 ? 0xFF : 0x7F;
      text.push_back(static_cast<char>(bits & mask));
    }
    std::string sum;
    for (const std::string& piece : pieces(text, kind)) {
      EXPECT_FALSE(piece.empty());
      sum += piece;
    }
    ASSERT_EQ(sum, text) << "round " << round;
  }
}

TEST(Pretokenizer, TakesLinearTimeOnLongRuns) {
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(pieces(std::string(1'000'000, 'a')).size(), 1U);
  EXPECT_EQ(pieces(std::string(1'000'000, ' ') + "a").size(), 2U);
  std::string words;
  for (int i = 0; i < 500'000; ++i) words += "\xC3\xA9 ";
  // The last blank is alone; every other joins the letter after it.
  EXPECT_EQ(pieces(words).size(), 500'001U);
  const std::chrono::duration<double> spent =
      std::chrono::steady_clock::now() - start;
  // Quadratic code takes minutes; a slow machine under a sanitizer, a second.
  EXPECT_LT(spent.count(), 20);
}

}  // namespace
}  // namespace muonlab::data
