#include "muonlab/statistics/parabola.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>
#include <string>

#include "tests/statistics/error_of.h"

namespace muonlab::statistics {
namespace {

constexpr double kEpsilon = std::numeric_limits<double>::epsilon();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

constexpr std::array<double, 6> kRates = {0.0005, 0.001, 0.002,
                                          0.004,  0.008, 0.016};
constexpr std::array<double, 6> kLosses = {4.91, 4.74, 4.66, 4.69, 4.85, 5.9};

TEST(Parabola, EqualsNumPyOnTheBestFive) {
  const auto fit = fit_parabola(kRates, kLosses);
  ASSERT_TRUE(fit);
  EXPECT_EQ(fit->rates,
            (std::vector<double>{0.0005, 0.001, 0.002, 0.004, 0.008}));
  // Losses near 4.9 carry a rounding of eps * 4.9 each; a coefficient sees a
  // modest multiple of it, the optimum that over the curvature.
  const double tolerance = 64 * kEpsilon * 4.91;
  EXPECT_NEAR(fit->curvature, 0.055000000000000132, tolerance);
  EXPECT_NEAR(fit->loss, 4.6586863636363658, tolerance);
  EXPECT_NEAR(std::log2(fit->optimum / 0.0022261417423760947), 0,
              tolerance / 0.055);
}

TEST(Parabola, DoesNotDependOnTheOrderOfTrials) {
  const std::array<double, 3> rates = {0.004, 0.001, 0.002};
  const std::array<double, 3> losses = {4.75, 4.75, 4.50};
  const auto fit = fit_parabola(rates, losses);
  ASSERT_TRUE(fit);
  const double tolerance = 64 * kEpsilon * 4.75;
  EXPECT_NEAR(std::log2(fit->optimum / 0.002), 0, tolerance / 0.25);
  EXPECT_NEAR(fit->curvature, 0.25, tolerance);
  EXPECT_NEAR(fit->loss, 4.5, tolerance);
}

TEST(Parabola, IsUnsetWithoutAMinimumBetweenTheTrials) {
  const std::array<double, 3> rates = {0.001, 0.002, 0.004};
  // Opens downwards, a straight line, an optimum beyond the last trial.
  EXPECT_FALSE(fit_parabola(rates, std::array<double, 3>{4.5, 4.7, 4.6}));
  EXPECT_FALSE(fit_parabola(rates, std::array<double, 3>{4.5, 4.5, 4.5}));
  EXPECT_FALSE(fit_parabola(rates, std::array<double, 3>{5.0, 4.7, 4.5}));
  EXPECT_FALSE(
      fit_parabola(std::array<double, 2>{1, 2}, std::array<double, 2>{4, 5}));
}

TEST(Parabola, RefusesNonsense) {
  const std::array<double, 3> rates = {0.001, 0.002, 0.004};
  const std::array<double, 3> twice = {0.001, 0.002, 0.002};
  const std::array<double, 3> zero = {0, 0.002, 0.004};
  const std::array<double, 3> losses = {4.7, 4.6, 4.8};
  const std::array<double, 3> nan = {4.7, kNan, 4.8};
  error_of([&] { return fit_parabola(rates, nan); });
  error_of([&] { return fit_parabola(zero, losses); });
  error_of([&] { return fit_parabola(std::span(rates).first(2), losses); });
  EXPECT_NE(error_of([&] { return fit_parabola(twice, losses); }).find("twice"),
            std::string::npos);
}

}  // namespace
}  // namespace muonlab::statistics
