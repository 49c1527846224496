#include "muonlab/statistics/sensitivity.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>

#include "tests/statistics/error_of.h"

namespace muonlab::statistics {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kStart = 10;  // loss at initialisation

// Loss rises by 0.1 per octave below the best rate and by 0.2 above.
const std::array<double, 9> kRates = {0.0625, 0.125, 0.25, 0.5, 1, 2, 4, 8, 16};
const std::array<double, 9> kLosses = {3.4, 3.3, 3.2, 3.1, 3,
                                       3.2, 3.4, 3.6, 3.8};

TEST(Sensitivity, IsTheMeanExcessLossOverTheRange) {
  // Three octaves to each side: means .15 and .3.
  const Sensitivity found = rate_sensitivity(kRates, kLosses, kStart, 8);
  EXPECT_EQ(found.best_rate, 1);
  EXPECT_EQ(found.best_loss, 3);
  EXPECT_NEAR(found.value, 0.225, 1e-14);
  EXPECT_EQ(found.covered, 1);
  EXPECT_TRUE(found.reaches_low);
  EXPECT_TRUE(found.reaches_high);
}

TEST(Sensitivity, EqualsTheMeanOverAFineGrid) {
  const std::array<double, 4> rates = {0.1, 0.3, 1, 9};
  const std::array<double, 4> losses = {12, 4, 3.5, 11};
  const Sensitivity found = rate_sensitivity(rates, losses, kStart, 4);
  double sum = 0;
  constexpr int kGrid = 100'000;
  for (int i = 0; i < kGrid; ++i) {
    const double x = -2 + 4 * (i + 0.5) / kGrid;  // log2 of the rate
    std::size_t right = 1;
    while (right < 3 && x > std::log2(rates[right])) ++right;
    const double from = std::log2(rates[right - 1]);
    const double share = (x - from) / (std::log2(rates[right]) - from);
    sum += std::min(std::lerp(losses[right - 1], losses[right], share), kStart);
  }
  // Midpoint rule: straight pieces are exact but for the cells with a corner.
  EXPECT_NEAR(found.value, sum / kGrid - 3.5, 1e-4);
}

TEST(Sensitivity, CountsADivergedRunWithTheInitialLoss) {
  const std::array<double, 3> rates = {0.5, 1, 2};
  for (const double loss : {kInfinity, double{NAN}, kStart}) {
    const Sensitivity found =
        rate_sensitivity(rates, std::array{3.2, 3.0, loss}, kStart, 2);
    EXPECT_NEAR(found.value, (0.1 + 3.5) / 2, 1e-14);
  }
  // A finite loss above the initial one is capped where the line crosses it:
  // half of the upper octave.
  const Sensitivity capped =
      rate_sensitivity(rates, std::array{3.2, 3.0, 17.0}, kStart, 2);
  EXPECT_NEAR(capped.value, (0.1 + (3.5 + 7) / 2) / 2, 1e-14);
}

TEST(Sensitivity, SaysWhatWasNotTried) {
  const std::span<const double> rates(kRates);
  const std::span<const double> losses(kLosses);
  const Sensitivity found =
      rate_sensitivity(rates.subspan(2), losses.subspan(2), kStart, 8);
  EXPECT_FALSE(found.reaches_low);
  EXPECT_TRUE(found.reaches_high);
  EXPECT_NEAR(found.covered, 5.0 / 6, 1e-14);
  EXPECT_NEAR(found.value, (0.1 * 2 + 0.3 * 3) / 5, 1e-14);
}

TEST(Basin, InterpolatesBothEdges) {
  // 0.02 is a fifth of an octave below and a tenth above.
  const Basin basin = rate_basin(kRates, kLosses, kStart);
  EXPECT_NEAR(basin.octaves, 0.3, 1e-12);
  EXPECT_NEAR(basin.low, std::exp2(-0.2), 1e-12);
  EXPECT_NEAR(basin.high, std::exp2(0.1), 1e-12);
  EXPECT_FALSE(basin.open_low);
  EXPECT_FALSE(basin.open_high);
}

TEST(Basin, IsOpenWhereItsEdgeWasNotReached) {
  const std::array<double, 3> rates = {0.5, 1, 2};
  const Basin high = rate_basin(rates, std::array{3.1, 3.01, 3.0}, kStart);
  EXPECT_FALSE(high.open_low);
  EXPECT_TRUE(high.open_high);
  EXPECT_EQ(high.high, 2);
  const Basin both = rate_basin(rates, std::array{3.0, 3.01, 3.0}, kStart);
  EXPECT_TRUE(both.open_low && both.open_high);
  EXPECT_EQ(both.octaves, 2);
}

TEST(Basin, IsTheOneAroundTheBestRate) {
  const std::array<double, 5> rates = {1, 2, 4, 8, 16};
  const Basin basin =
      rate_basin(rates, std::array{3.01, 3.2, 3.0, 3.2, 3.01}, kStart);
  EXPECT_NEAR(basin.octaves, 0.2, 1e-12);
}

TEST(Sensitivity, RefusesNonsense) {
  const std::array<double, 2> rates = {1, 2};
  const std::array<double, 2> losses = {3, 4};
  error_of([&] { return rate_sensitivity(rates, losses, kStart, 1); });
  error_of([&] { return rate_sensitivity(rates, losses, NAN); });
  error_of([&] {
    return rate_sensitivity(rates, std::array{kInfinity, double{NAN}}, kStart);
  });
  error_of([&] { return rate_basin(std::array{1.0, 1.0}, losses, kStart); });
  error_of([&] { return rate_basin(std::array{-1.0, 1.0}, losses, kStart); });
  error_of([&] { return rate_basin(rates, losses, kStart, 0); });
  error_of([&] { return rate_basin(std::array{1.0}, losses, kStart); });
}

}  // namespace
}  // namespace muonlab::statistics
