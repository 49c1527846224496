// Loss curves, power laws, speed-ups and scaling fits.
#include "muonlab/statistics/speedup.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "muonlab/statistics/curves.h"
#include "muonlab/statistics/power_law.h"
#include "muonlab/statistics/scaling.h"
#include "tests/statistics/error_of.h"

namespace muonlab::statistics {
namespace {

const std::vector<double> kSteps = {100, 200, 300, 400};
const std::vector<double> kLosses = {5, 4, 3.5, 3.25};

TEST(StepsToTarget, InterpolatesBetweenEvaluations) {
  EXPECT_EQ(*steps_to_target(kSteps, kLosses, 3.75), 250);
  EXPECT_EQ(*steps_to_target(kSteps, kLosses, 4), 200);
  EXPECT_EQ(*steps_to_target(kSteps, kLosses, 6), 100);
  EXPECT_FALSE(steps_to_target(kSteps, kLosses, 3.2));
}

TEST(StepsToTarget, TakesTheFirstOfSeveralCrossings) {
  const std::vector<double> dips = {5, 3, 4, 2};
  EXPECT_EQ(*steps_to_target(kSteps, dips, 3.5), 175);
}

TEST(StepsToTarget, GoesByTheMeanOverSeeds) {
  // The first seed alone reaches 3.5 at 200; the mean does at 300 only.
  const std::vector<std::vector<double>> seeds = {{5, 3, 3, 3}, {5, 5, 4, 4}};
  EXPECT_EQ(*steps_to_target(kSteps, seeds, 3.5), 300);
  EXPECT_FALSE(steps_to_target(kSteps, seeds, 3.4));
}

TEST(ExchangeRate, IsTheSlopeOfTheLastEvaluations) {
  EXPECT_DOUBLE_EQ(local_exchange_rate(kSteps, kLosses, 2), -0.0025);
  // Through three points: (3.25 - 4) / 200.
  EXPECT_DOUBLE_EQ(local_exchange_rate(kSteps, kLosses, 3), -0.00375);
}

TEST(Curves, RefuseNonsense) {
  const std::vector<double> three = {1, 2, 3};
  const std::vector<double> back = {100, 200, 200, 400};
  error_of([&] { return steps_to_target(kSteps, three, 1); });
  error_of([&] { return steps_to_target(back, kLosses, 1); });
  error_of([&] { return steps_to_target(kSteps, kLosses, NAN); });
  error_of([&] { return local_exchange_rate(kSteps, kLosses, 1); });
  error_of([&] { return local_exchange_rate(kSteps, kLosses, 5); });
}

TEST(PowerLaw, FindsTheLawThatMadeThePoints) {
  const PowerLaw truth{3.5, 0.37, 2.25};
  std::vector<double> x;
  std::vector<double> y;
  for (const double millions : {1e6, 2e6, 4e6, 8e6, 16e6}) {
    x.push_back(millions);
    y.push_back(truth.at(millions));
  }
  const auto fit = fit_power_law(x, y);
  // The minimum of a sum of squares is flat to the root of epsilon, 1.5e-8; the
  // amplitude is reached over ln(1e6) = 14 units of log x.
  EXPECT_NEAR(fit->exponent, truth.exponent, 1e-6);
  EXPECT_NEAR(fit->amplitude, truth.amplitude, 1e-6 * 14 * 4);
  EXPECT_NEAR(fit->floor, truth.floor, 1e-6);
  EXPECT_TRUE(fit->determined());
  EXPECT_NEAR(*fit->inverse(truth.at(3e6)), 3e6, 3e6 * 1e-5);
  EXPECT_FALSE(fit->inverse(2.25 - 1e-3));
}

TEST(PowerLaw, FlagsPointsThatDoNotDetermineIt) {
  const std::vector<double> x = {1, 2, 4, 8};
  // A straight line in log x has no floor: the exponent goes to its end or the
  // floor to zero.
  std::vector<double> line;
  for (const double value : x)
    line.push_back(1 - 0.25 * std::log2(value) + 1e-9);
  EXPECT_FALSE(fit_power_law(x, line)->determined());
  // Made with a floor of -0.1, which no loss has.
  std::vector<double> below;
  for (const double value : x) below.push_back(2 / std::sqrt(value) - 0.1);
  const auto bound = fit_power_law(x, below);
  EXPECT_TRUE(bound->floor_at_bound);
  EXPECT_EQ(bound->floor, 0);
  EXPECT_GT(bound->exponent, 0.5);
  // Flat after the first point: the exponent is as large as it can be.
  const auto step = fit_power_law(x, std::vector<double>{4, 3, 3, 3});
  EXPECT_TRUE(step->exponent_at_bound);
  // Rising losses are no power law.
  EXPECT_FALSE(fit_power_law(x, std::vector<double>{1, 2, 3, 4}));
}

TEST(PowerLaw, CallsThreePointsATrend) {
  const std::vector<double> x = {1, 2, 4};
  const std::vector<double> twice = {1, 2, 4, 4};
  EXPECT_NE(error_of([&] {
              return fit_power_law(x, std::vector<double>{3, 2, 1});
            }).find("trend"),
            std::string::npos);
  error_of(
      [&] { return fit_power_law(twice, std::vector<double>{3, 2, 1, 1}); });
  error_of([&] { return fit_power_law(x, std::vector<double>{3, 2}); });
  error_of([&] {
    return fit_power_law(std::vector<double>{0, 1, 2, 3},
                         std::vector<double>{4, 3, 2, 1});
  });
}

// Final losses of "Fantastic Pretraining Optimizers" (arXiv 2509.02046) at 1,
// 2, 4 and 8 times 20 tokens per parameter, and the speed-ups that SciPy's
// curve_fit gives for them.
struct PublishedSize {
  const char* name;
  std::array<double, 4> adamw;
  std::array<double, 4> muon;
  std::array<double, 4> speedup;
  double rmse;
};
const std::array<PublishedSize, 3> kPublished = {{
    {"130M",
     {3.529, 3.409, 3.322, 3.262},
     {3.463, 3.369, 3.295, 3.238},
     {1.4196262, 1.3362426, 1.3308878, 1.4189738},
     0.000463476515637808},
    {"300M",
     {3.263, 3.166, 3.094, 3.042},
     {3.224, 3.143, 3.079, 3.029},
     {1.2880285, 1.2194245, 1.1986808, 1.2322699},
     0.00021267429627396369},
    {"520M",
     {3.110, 3.023, 2.958, 2.913},
     {3.071, 3.002, 2.944, 2.900},
     {1.3258829, 1.2198766, 1.2199871, 1.2684211},
     0.0005264226947262491},
}};
const std::array<double, 4> kHorizons = {1, 2, 4, 8};

std::vector<HorizonRuns> runs_of(const std::array<double, 4>& losses) {
  std::vector<HorizonRuns> runs;
  for (std::size_t i = 0; i < 4; ++i) {
    runs.push_back({kHorizons[i], {losses[i]}});
  }
  return runs;
}

TEST(DataSpeedup, EqualsThePublishedTable) {
  for (const PublishedSize& size : kPublished) {
    SCOPED_TRACE(size.name);
    const auto found = data_speedup(runs_of(size.adamw), runs_of(size.muon));
    for (std::size_t i = 0; i < 4; ++i) {
      // SciPy's iteration stops at about 1e-7.
      EXPECT_NEAR(*found[i].speedup, size.speedup[i], 1e-6);
      EXPECT_EQ(found[i].method, SpeedupMethod::kPowerLaw);
      EXPECT_FALSE(found[i].undetermined);
      EXPECT_EQ(found[i].extrapolated, i == 3);
      EXPECT_FALSE(found[i].bootstrap);  // one seed
    }
    EXPECT_NEAR(fit_power_law(kHorizons, size.adamw)->rmse, size.rmse, 1e-9);
  }
  const auto law = fit_power_law(kHorizons, kPublished[0].adamw);
  EXPECT_NEAR(law->amplitude, 0.41721578, 1e-6);
  EXPECT_NEAR(law->exponent, 0.49261158, 1e-6);
  EXPECT_NEAR(law->floor, 3.1119265, 1e-6);
}

TEST(DataSpeedup, InterpolatesInLogHorizonBelowFourHorizons) {
  const std::vector<HorizonRuns> reference = {{4, {3.0}}, {1, {4.0}}};
  const auto found = data_speedup(
      reference, std::vector<HorizonRuns>{{1, {3.5}}, {2, {4.5}}, {4, {2.5}}});
  EXPECT_EQ(found[0].method, SpeedupMethod::kInterpolated);
  EXPECT_DOUBLE_EQ(*found[0].speedup, 2);
  EXPECT_FALSE(found[0].extrapolated);
  EXPECT_DOUBLE_EQ(*found[1].reference_horizon, 0.5);
  EXPECT_TRUE(found[1].extrapolated);
  EXPECT_DOUBLE_EQ(*found[2].speedup, 2);
  EXPECT_TRUE(found[2].extrapolated);
}

TEST(DataSpeedup, IsUnsetBelowTheFloor) {
  auto arm = runs_of(kPublished[0].muon);
  arm[3].losses = {3.1};
  const auto found = data_speedup(runs_of(kPublished[0].adamw), arm);
  EXPECT_FALSE(found[3].speedup);
  EXPECT_TRUE(found[3].extrapolated);
}

TEST(DataSpeedup, ResamplesSeedsForAllCellsAtOnce) {
  // Each seed shifts every cell alike; the floor moves with it, so the speed-up
  // is the same for every resample. Drawn apart, it would vary.
  auto reference = runs_of(kPublished[0].adamw);
  auto arm = runs_of(kPublished[0].muon);
  for (auto* runs : {&reference, &arm}) {
    for (HorizonRuns& cell : *runs) {
      const double loss = cell.losses[0];
      cell.losses = {loss - 0.01, loss, loss + 0.01};
    }
  }
  const auto found = data_speedup(reference, arm, {200, 1, 0.05});
  EXPECT_NEAR(found[0].bootstrap->percentile->low, *found[0].speedup, 1e-5);
  EXPECT_NEAR(found[0].bootstrap->percentile->high, *found[0].speedup, 1e-5);
  arm[0].losses = {3.45, 3.46, 3.479};
  const auto varied = data_speedup(reference, arm, {200, 1, 0.05});
  EXPECT_LT(varied[0].bootstrap->percentile->low, *varied[0].speedup - 0.01);
  arm[0].losses.pop_back();
  EXPECT_FALSE(data_speedup(reference, arm, {200, 1, 0.05})[0].bootstrap);
}

TEST(DataSpeedup, RefusesNonsense) {
  using Runs = std::vector<HorizonRuns>;
  const Runs good = {{1, {4}}, {2, {3}}};
  error_of([&] { return data_speedup(Runs{{1, {4}}}, good); });
  error_of([&] { return data_speedup(Runs{{1, {4}}, {1, {3}}}, good); });
  error_of([&] { return data_speedup(Runs{{1, {4}}, {2, {}}}, good); });
  error_of([&] { return data_speedup(Runs{{0, {4}}, {2, {3}}}, good); });
  EXPECT_NE(error_of([&] {
              return data_speedup(Runs{{1, {3}}, {2, {4}}}, good);
            }).find("do not fall"),
            std::string::npos);
}

std::vector<SizeRuns> sizes_with(double alpha, double noise) {
  std::vector<SizeRuns> runs;
  for (const double n : {1e6, 3e6, 1e7, 3e7}) {
    const double loss = 2 + 30 * std::pow(n, -alpha);
    runs.push_back({n, {loss - noise, loss, loss + noise}});
  }
  return runs;
}

TEST(Scaling, FindsAlphaWithAnInterval) {
  const auto fit = scaling_fit(sizes_with(0.3, 0.002), {200, 0, 0.05});
  EXPECT_NEAR(fit->law.exponent, 0.3, 1e-6);
  EXPECT_NEAR(fit->law.floor, 2, 1e-5);
  EXPECT_LT(fit->alpha->percentile->low, 0.3);
  EXPECT_GT(fit->alpha->percentile->high, 0.3);
  auto single = sizes_with(0.3, 0);
  for (SizeRuns& size : single) size.losses.resize(1);
  EXPECT_FALSE(scaling_fit(single)->alpha);
  single.pop_back();
  EXPECT_NE(error_of([&] { return scaling_fit(single); }).find("trend"),
            std::string::npos);
}

TEST(Scaling, TellsTwoAlphasApart) {
  const auto apart = exponent_difference(
      sizes_with(0.32, 0.002), sizes_with(0.28, 0.002), {200, 0, 0.05});
  EXPECT_NEAR(apart->estimate, 0.04, 1e-5);
  EXPECT_GT(apart->percentile->low, 0);
  // The same noise in both arms is paired away.
  const auto same = exponent_difference(sizes_with(0.3, 0.002),
                                        sizes_with(0.3, 0.002), {200, 0, 0.05});
  EXPECT_NEAR(same->standard_error, 0, 1e-6);
  error_of([&] {
    auto other = sizes_with(0.3, 0.002);
    other[1].parameters *= 2;
    return exponent_difference(sizes_with(0.3, 0.002), other);
  });
}

TEST(LogTrend, EqualsSciPysRegression) {
  const LogTrend trend =
      trend_against_log(kHorizons, std::array{1.42, 1.34, 1.33, 1.42});
  // Differences of numbers near 1.4 over a slope of 1e-3.
  EXPECT_NEAR(trend.slope, -0.0014426950408889668, 1e-14);
  EXPECT_NEAR(*trend.p, 0.97378387474534611, 1e-11);
  EXPECT_NEAR(trend.interval->high - trend.slope, 0.16737016322005094, 1e-12);
  EXPECT_EQ(trend.df, 2);
}

TEST(LogTrend, HasNoPOnAStraightLine) {
  const LogTrend trend =
      trend_against_log(kHorizons, std::array<double, 4>{1, 2, 3, 4});
  EXPECT_NEAR(trend.slope, 1 / std::log(2), 1e-14);
  EXPECT_FALSE(trend.p);
  error_of([] {
    return trend_against_log(std::array<double, 2>{1, 2},
                             std::array<double, 2>{1, 2});
  });
}

}  // namespace
}  // namespace muonlab::statistics
