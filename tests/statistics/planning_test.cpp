#include "muonlab/statistics/planning.h"

#include <gtest/gtest.h>

#include <cmath>

#include "muonlab/statistics/permutation.h"
#include "tests/statistics/error_of.h"

namespace muonlab::statistics {
namespace {

constexpr double kSd = 0.0013;  // of one configuration's seeds, nats

TEST(Planning, PowerEqualsSciPysNoncentralT) {
  // Both sum a series to about 1e-12.
  EXPECT_NEAR(t_test_power(0.002, kSd, 7, Design::kTwoGroups),
              0.75253942577456467, 1e-10);
  EXPECT_NEAR(t_test_power(0.002, kSd, 5, Design::kPaired), 0.7311205178566923,
              1e-10);
  EXPECT_NEAR(t_test_power(-0.002, kSd, 5, Design::kPaired), 0.7311205178566923,
              1e-10);
  // Without a difference the test finds one as often as alpha says.
  EXPECT_NEAR(t_test_power(0, kSd, 9, Design::kPaired, 0.1), 0.1, 1e-12);
  EXPECT_EQ(t_test_power(1e6, kSd, 9, Design::kPaired), 1);
}

TEST(Planning, RunsNeededIsTheFirstNumberWithThePower) {
  for (const Design design : {Design::kPaired, Design::kTwoGroups}) {
    for (const double difference : {0.001, 0.002, 0.0005}) {
      const std::size_t n = *runs_needed(difference, kSd, design);
      EXPECT_GE(t_test_power(difference, kSd, n, design), 0.8);
      EXPECT_LT(t_test_power(difference, kSd, n - 1, design), 0.8);
    }
  }
}

TEST(Planning, RunsNeededLieJustAboveTheNormalApproximation) {
  // n = 2 (z_.975 + z_.8)^2 sd^2 / d^2 = 15.7 sd^2 / d^2, rounded up, is short
  // by about z^2 / 4, one run, since t has wider tails.
  for (const double difference : {0.002, 0.001, 0.0005}) {
    const double normal =
        std::ceil(15.698 * kSd * kSd / (difference * difference));
    const auto n =
        static_cast<double>(*runs_needed(difference, kSd, Design::kTwoGroups));
    EXPECT_GE(n, normal);
    EXPECT_LE(n, normal + 2);
  }
}

TEST(Planning, NeverPlansFewerRunsThanATestNeedsNorAMillion) {
  EXPECT_EQ(runs_needed(1, kSd, Design::kPaired), kFewestForTest);
  EXPECT_EQ(runs_needed(0, kSd, Design::kPaired), std::nullopt);
  EXPECT_EQ(runs_needed(1e-7, kSd, Design::kPaired), std::nullopt);
}

TEST(Planning, HalfWidthsAreThoseOfTheProtocol) {
  // Two groups, sd .0013, n = 3, 5, 8, 10: four printed decimals.
  const auto width = [](std::size_t n) {
    return interval_half_width(kSd, n, Design::kTwoGroups);
  };
  EXPECT_NEAR(width(3), 0.0029, 5e-5);
  EXPECT_NEAR(width(5), 0.0019, 5e-5);
  EXPECT_NEAR(width(8), 0.0014, 5e-5);
  EXPECT_NEAR(width(10), 0.0012, 5e-5);
  EXPECT_NEAR(interval_half_width(kSd, 5, Design::kPaired),
              2.7764451051977934 * kSd / std::sqrt(5.0), 1e-15);
}

TEST(Planning, SmallestExactPIsTheTestsFloor) {
  EXPECT_EQ(smallest_exact_p(5, Design::kPaired), 0.0625);
  EXPECT_EQ(smallest_exact_p(3, Design::kTwoGroups), 0.1);
  EXPECT_NEAR(smallest_exact_p(4, Design::kTwoGroups), 2 / 70.0, 1e-17);
  EXPECT_NEAR(smallest_exact_p(5, Design::kTwoGroups), 2 / 252.0, 1e-17);
  // Three Holm pairs need n = 7: 3 * 2 / 2^7 = .047.
  EXPECT_EQ(runs_for_exact_p(3, Design::kPaired), 7U);
  EXPECT_EQ(runs_for_exact_p(1, Design::kPaired), 6U);
  EXPECT_EQ(runs_for_exact_p(1, Design::kTwoGroups), 4U);
}

TEST(Planning, RefusesNonsense) {
  error_of([] { return t_test_power(1, 0, 5, Design::kPaired); });
  error_of([] { return t_test_power(1, 1, 1, Design::kPaired); });
  error_of([] { return t_test_power(NAN, 1, 5, Design::kPaired); });
  error_of([] { return t_test_power(1, 1, 5, Design::kPaired, 1); });
  error_of([] { return runs_needed(1, 1, Design::kPaired, 1); });
  error_of([] { return smallest_exact_p(0, Design::kPaired); });
  error_of([] { return runs_for_exact_p(0, Design::kPaired); });
}

}  // namespace
}  // namespace muonlab::statistics
