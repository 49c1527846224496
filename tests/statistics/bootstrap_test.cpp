#include "muonlab/statistics/bootstrap.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>
#include <numeric>

#include "muonlab/core/philox.h"
#include "muonlab/statistics/t_tests.h"
#include "tests/statistics/error_of.h"

namespace muonlab::statistics {
namespace {

// The samples and numbers of tests/judges/statistics_judge.py.
const std::vector<double> kMuon = {4.6301, 4.5773, 4.5820, 4.5988, 4.6003};
const std::vector<double> kShort = {4.61, 4.58, 4.63};

std::vector<std::vector<double>> means_without_one(
    const std::vector<std::vector<double>>& groups) {
  std::vector<std::vector<double>> lists;
  for (std::size_t g = 0; g < groups.size(); ++g) {
    lists.emplace_back();
    const auto& group = groups[g];
    const double sum = std::accumulate(group.begin(), group.end(), 0.0);
    for (const double value : group) {
      const double rest = (sum - value) / static_cast<double>(group.size() - 1);
      // Of a difference of means, the second group counts negative.
      lists.back().push_back(g == 0 ? rest : -rest);
    }
  }
  return lists;
}

TEST(Bca, CorrectionAndAccelerationEqualSciPys) {
  const std::vector<double> resampled = {4.59, 4.60,  4.58, 4.5977,
                                         4.61, 4.605, 4.57, 4.599};
  // A ratio of counts, then a quantile: a few roundings.
  EXPECT_NEAR(bca_bias_correction(4.5977, resampled), -0.1573106846101707,
              1e-14);
  // Differences of means near 4.6 keep 1e-15 of about 5e-3: 1e-12 relative.
  EXPECT_NEAR(*bca_acceleration(means_without_one({kMuon})),
              0.050617725595822255, 1e-12);
  EXPECT_NEAR(*bca_acceleration(means_without_one({kMuon, kShort})),
              0.022186677597826363, 1e-12);
  const std::vector<std::vector<double>> same = {{1, 1, 1}};
  EXPECT_FALSE(bca_acceleration(same));
}

double mean_difference(const Groups& groups) {
  return mean(groups[0]) - mean(groups[1]);
}

TEST(Bootstrap, DependsOnItsSeedAlone) {
  const auto run = [](std::uint64_t seed) {
    return bootstrap(kMuon,
                     [](std::span<const double> drawn) { return mean(drawn); },
                     {500, seed, 0.05});
  };
  EXPECT_EQ(run(1).bca->low, run(1).bca->low);
  EXPECT_NE(run(1).standard_error, run(2).standard_error);
}

TEST(Bootstrap, PairedGroupsMoveTogetherAndStrataApart) {
  // The difference is the same for every seed: paired it never varies.
  std::vector<double> shifted = kMuon;
  for (double& value : shifted) value += 0.5;
  const Groups groups = {kMuon, shifted};
  const Bootstrap paired =
      bootstrap(groups, mean_difference, Resampling::kPaired, {500, 3, 0.05});
  EXPECT_NEAR(paired.standard_error, 0, 1e-14);
  EXPECT_FALSE(paired.bca);
  const Bootstrap apart = bootstrap(groups, mean_difference,
                                    Resampling::kStratified, {500, 3, 0.05});
  EXPECT_GT(apart.standard_error, 0.005);
  const std::array<std::size_t, 2> one = {7, 7};
  const std::array<std::size_t, 2> two = {7, 8};
  EXPECT_FALSE(bootstrap(groups, mean_difference, one, {500, 3, 0.05}).bca);
  EXPECT_TRUE(bootstrap(groups, mean_difference, two, {500, 3, 0.05}).bca);
}

TEST(Bootstrap, StandardErrorOfAMeanIsThePopulationDeviationOverRootN) {
  const Bootstrap made = bootstrap(
      kMuon, [](std::span<const double> drawn) { return mean(drawn); });
  const double expected = population_deviation(kMuon) / std::sqrt(5.0);
  // The deviation of B draws is known to 1 / sqrt(2 B); five times that.
  EXPECT_NEAR(made.standard_error, expected,
              5 * expected / std::sqrt(2 * 10'000.0));
  EXPECT_LT(made.percentile->low, made.estimate);
  EXPECT_GT(made.percentile->high, made.estimate);
}

// Normal samples of ten: how often the interval holds the mean. 600 trials give
// the share a standard error of sqrt(.95 .05 / 600) = 0.009; intervals from ten
// values cover a few per cent less than they say.
TEST(Bootstrap, IntervalsCoverTheMeanAboutAsOftenAsTheySay) {
  const core::Random random(11, "coverage");
  int held = 0;
  constexpr int kTrials = 600;
  for (std::uint64_t trial = 0; trial < kTrials; ++trial) {
    std::vector<double> values(10);
    for (std::uint64_t i = 0; i < 10; ++i) values[i] = random.normal(trial, i);
    const Bootstrap made = bootstrap(
        values, [](std::span<const double> drawn) { return mean(drawn); },
        {400, trial, 0.05});
    if (made.bca->low < 0 && 0 < made.bca->high) ++held;
  }
  const double share = held / static_cast<double>(kTrials);
  EXPECT_GT(share, 0.86);
  EXPECT_LT(share, 0.97);
}

TEST(Bootstrap, CountsUndefinedResamplesAndGivesNothingOfMany) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  int call = 0;
  const auto sometimes = [&](std::span<const double> drawn) {
    return ++call % 50 == 0 ? nan : mean(drawn);
  };
  const Bootstrap few = bootstrap(kMuon, sometimes, {1000, 0, 0.05});
  EXPECT_EQ(few.undefined, 20U);
  EXPECT_TRUE(few.percentile);
  const auto often = [&](std::span<const double> drawn) {
    return ++call % 10 == 0 ? nan : mean(drawn);
  };
  call = 1;
  EXPECT_FALSE(bootstrap(kMuon, often, {1000, 0, 0.05}).percentile);
}

TEST(Bootstrap, RefusesNonsense) {
  const auto run = [](const Groups& groups, Resampling how, std::size_t n) {
    return bootstrap(groups, mean_difference, how, {n, 0, 0.05});
  };
  error_of([&] { return run({}, Resampling::kPaired, 500); });
  error_of([&] { return run({{1}, {2}}, Resampling::kPaired, 500); });
  EXPECT_NE(error_of([&] {
              return run({kMuon, kShort}, Resampling::kPaired, 500);
            }).find("got 5 and 3"),
            std::string::npos);
  error_of([&] { return run({kMuon, kMuon}, Resampling::kPaired, 99); });
  error_of([&] {
    return bootstrap(kMuon, [](std::span<const double>) { return NAN; });
  });
}

}  // namespace
}  // namespace muonlab::statistics
