#include "muonlab/data/split.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>
#include <string>

#include "muonlab/core/error.h"

namespace muonlab::data {
namespace {

std::string document(int i) { return "document " + std::to_string(i); }

TEST(SplitRule, HoldsOutTheShareAskedForInTwoHalves) {
  const SplitRule rule(0.1);
  constexpr int kN = 20'000;
  std::array<int, 3> counts{};
  for (int i = 0; i < kN; ++i) {
    ++counts[static_cast<std::size_t>(rule.of(document(i)))];
  }
  // Five standard deviations of a binomial count.
  const double spread = 5 * std::sqrt(kN * 0.05 * 0.95);
  EXPECT_NEAR(counts[0], kN * 0.9, spread * std::sqrt(2.0));
  EXPECT_NEAR(counts[1], kN * 0.05, spread);
  EXPECT_NEAR(counts[2], kN * 0.05, spread);
}

TEST(SplitRule, HoldingOutMoreMovesDocumentsOneWayOnly) {
  const SplitRule little(0.1);
  const SplitRule more(0.3);
  for (int i = 0; i < 2000; ++i) {
    const Split split = little.of(document(i));
    if (split != Split::kTrain) {
      EXPECT_EQ(more.of(document(i)), split);
    }
  }
}

TEST(SplitRule, IsPinned) {
  // Computed by another implementation of SHA-256; a change moves documents
  // between training and held-out data of everyone.
  const SplitRule rule(0.1);
  EXPECT_EQ(rule.text(), "sha256/muonlab-split-v1/held_out=0.1");
  const Digest digest = SplitRule::digest("abc");
  EXPECT_EQ(digest[0], 0x59);
  EXPECT_EQ(digest[31], 0x98);
}

TEST(SplitRule, ReadsThresholdAndHalfFromDifferentBytes) {
  const SplitRule rule(0.5);
  Digest digest{};
  digest[0] = 0x7F;
  digest[7] = 0xFF;
  EXPECT_EQ(rule.of(digest), Split::kSelection);
  digest[8] = 0x80;
  EXPECT_EQ(rule.of(digest), Split::kReporting);
  digest[0] = 0x80;
  EXPECT_EQ(rule.of(digest), Split::kTrain);
}

TEST(SplitRule, RefusesSharesOutsideZeroToOne) {
  for (const double share :
       {0.0, 1.0, -0.1, 1.5, std::numeric_limits<double>::quiet_NaN()}) {
    EXPECT_THROW(SplitRule{share}, Error) << share;
  }
}

}  // namespace
}  // namespace muonlab::data
