#include "muonlab/statistics/arm_comparison.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "muonlab/statistics/effect_size.h"
#include "muonlab/statistics/holm.h"
#include "tests/statistics/error_of.h"

namespace muonlab::statistics {
namespace {

std::vector<Run> runs_of(const std::string& arm, std::vector<double> values,
                         int first_seed = 1) {
  std::vector<Run> runs;
  for (const double value : values) {
    runs.push_back({arm, std::to_string(first_seed++), value});
  }
  return runs;
}

std::vector<Run> operator+(std::vector<Run> a, const std::vector<Run>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

const std::vector<double> kA = {4.6301, 4.5773, 4.5820, 4.5988, 4.6003};
const std::vector<double> kB = {4.6822, 4.6503, 4.6442, 4.6596, 4.6718};
const std::vector<double> kC = {4.6790, 4.6561, 4.6430, 4.6601, 4.6702};

bool warns(const ArmComparison& made, const std::string& words) {
  for (const std::string& warning : made.warnings) {
    if (warning.find(words) != std::string::npos) return true;
  }
  return false;
}

TEST(CompareArms, MakesAllPairsInOrderOfAppearance) {
  const ArmTable table =
      compare_arms(runs_of("a", kA) + runs_of("b", kB) + runs_of("c", kC));
  ASSERT_EQ(table.comparisons.size(), 3U);
  const ArmComparison& bc = table.comparisons[2];
  EXPECT_EQ(bc.arms, (std::array<std::string, 2>{"b", "c"}));
  std::vector<double> p_values;
  for (const auto& made : table.comparisons) {
    p_values.push_back(*made.paired_test->p);
  }
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(table.comparisons[i].p_holm, holm(p_values)[i]);
  }
}

TEST(CompareArms, ComparesWithABaseline) {
  ArmComparisonOptions options;
  options.baseline = "b";
  options.margin = 0.005;
  const ArmTable table = compare_arms(
      runs_of("a", kA) + runs_of("b", kB) + runs_of("c", kC), options);
  ASSERT_EQ(table.comparisons.size(), 2U);
  EXPECT_EQ(table.comparisons[1].arms, (std::array<std::string, 2>{"c", "b"}));
  const ArmComparison& ab = table.comparisons[0];
  EXPECT_TRUE(ab.paired);
  EXPECT_EQ(ab.n, 5U);
  EXPECT_LT(ab.mean_difference, -0.06);
  EXPECT_EQ(ab.paired_test->p, paired_t_test(kA, kB).p);
  EXPECT_EQ(ab.welch_test->p, welch_t_test(kA, kB).p);
  EXPECT_EQ(ab.hedges_g, hedges_g(kA, kB));
  EXPECT_EQ(ab.probability_of_improvement, 1);
  EXPECT_FALSE(ab.equivalence->equivalent);
  EXPECT_TRUE(table.comparisons[1].equivalence->equivalent);
  EXPECT_TRUE(warns(ab, "sign-flip p cannot go below 0.0625"));
  EXPECT_TRUE(warns(ab, "no bootstrap interval below n = 8"));
}

TEST(CompareArms, PairsCommonSeedsOnlyAndSaysSo) {
  // b has seeds 3 to 7: 3, 4 and 5 are common.
  const ArmTable table = compare_arms(runs_of("a", kA) + runs_of("b", kB, 3));
  const ArmComparison& made = table.comparisons[0];
  EXPECT_EQ(made.seeds, (std::vector<std::string>{"3", "4", "5"}));
  EXPECT_EQ(made.n, 3U);
  EXPECT_EQ(made.paired_test->p,
            paired_t_test(std::span(kA).last(3), std::span(kB).first(3)).p);
  EXPECT_EQ(made.welch_test->p, welch_t_test(kA, kB).p);
  EXPECT_TRUE(warns(made, "3 common seeds"));
}

TEST(CompareArms, FallsBackToWelchBelowThreeCommonSeeds) {
  const ArmTable table = compare_arms(runs_of("a", kA) + runs_of("b", kB, 4));
  const ArmComparison& made = table.comparisons[0];
  EXPECT_FALSE(made.paired);
  EXPECT_FALSE(made.paired_test);
  EXPECT_FALSE(made.sign_flip);
  EXPECT_EQ(made.p_holm, welch_t_test(kA, kB).p);
  EXPECT_TRUE(warns(made, "2 common seeds: nothing is paired"));
}

TEST(CompareArms, GivesNoPBelowThree) {
  const ArmTable table =
      compare_arms(runs_of("a", {1, 2}) + runs_of("b", {3, 5}));
  const ArmComparison& made = table.comparisons[0];
  EXPECT_FALSE(made.paired_test->p || made.welch_test->p || made.sign_flip->p ||
               made.permutation->p || made.p_holm || made.interval);
  EXPECT_EQ(made.mean_difference, -2.5);
  EXPECT_TRUE(warns(made, "no p value and no interval below n = 3"));
  const ArmTable single = compare_arms(runs_of("a", {1}) + runs_of("b", {3}));
  EXPECT_FALSE(single.comparisons[0].test());
  EXPECT_EQ(single.comparisons[0].mean_difference, -2);
}

TEST(CompareArms, SaysWhenThereIsNoSpread) {
  const ArmTable table =
      compare_arms(runs_of("a", {1, 1, 1}) + runs_of("b", {1, 1, 1}));
  const ArmComparison& made = table.comparisons[0];
  EXPECT_FALSE(made.p_holm);
  EXPECT_FALSE(made.hedges_g);
  EXPECT_EQ(made.probability_of_improvement, 0.5);
  EXPECT_TRUE(warns(made, "no spread"));
}

TEST(CompareArms, BootstrapsFromEightOn) {
  const std::vector<double> a = {1, 2, 3, 4, 5, 6, 7, 9};
  const std::vector<double> b = {2, 3, 5, 4, 7, 9, 8, 8};
  const ArmTable table = compare_arms(runs_of("a", a) + runs_of("b", b));
  const ArmComparison& made = table.comparisons[0];
  ASSERT_TRUE(made.bootstrap && made.bootstrap->bca);
  EXPECT_LT(made.bootstrap->bca->low, made.mean_difference);
  EXPECT_GT(made.bootstrap->bca->high, made.mean_difference);
  ArmComparisonOptions unpaired;
  unpaired.paired = false;
  const ArmTable apart =
      compare_arms(runs_of("a", a) + runs_of("b", b), unpaired);
  EXPECT_GT(apart.comparisons[0].bootstrap->standard_error,
            made.bootstrap->standard_error);
}

TEST(CompareArms, RefusesNonsense) {
  const std::vector<statistics::Run> two = runs_of("a", kA) + runs_of("b", kB);
  error_of([] { return compare_arms({}); });
  EXPECT_NE(error_of([] { return compare_arms(runs_of("a", kA)); }).find("'a'"),
            std::string::npos);
  EXPECT_NE(error_of([&] {
              return compare_arms(two + runs_of("b", {1}, 5));
            }).find("two values for seed 5"),
            std::string::npos);
  ArmComparisonOptions options;
  options.paired = false;
  EXPECT_EQ(
      compare_arms(two + runs_of("b", {1}, 5), options).arms[1].values.size(),
      6U);
  options.baseline = "c";
  EXPECT_NE(error_of([&] { return compare_arms(two, options); }).find("'c'"),
            std::string::npos);
  options = {};
  options.margin = -1;
  error_of([&] { return compare_arms(two, options); });
  options = {};
  options.alpha = 1;
  error_of([&] { return compare_arms(two, options); });
  error_of([&] { return compare_arms(two + runs_of("c", {NAN})); });
}

}  // namespace
}  // namespace muonlab::statistics
