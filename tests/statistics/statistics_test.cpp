#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <string>

#include "muonlab/statistics/effect_size.h"
#include "muonlab/statistics/holm.h"
#include "muonlab/statistics/permutation.h"
#include "muonlab/statistics/t_tests.h"
#include "tests/statistics/error_of.h"

namespace muonlab::statistics {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

// The samples of tests/judges/statistics_judge.py. All expected numbers with
// more than five digits are what SciPy 1.17.1 and NumPy 2.4.6 print there:
//   tests/judges/statistics_judge.py
constexpr std::array<double, 5> kMuon = {4.6301, 4.5773, 4.5820, 4.5988,
                                         4.6003};
constexpr std::array<double, 5> kAdamw = {4.6822, 4.6503, 4.6442, 4.6596,
                                          4.6718};
constexpr std::array<double, 5> kNear = {4.6790, 4.6561, 4.6430, 4.6601,
                                         4.6702};
constexpr std::array<double, 3> kShort = {4.61, 4.58, 4.63};

// Both sides start from the same differences d, so what separates them is the
// rounding of a few sums and of the t distribution: well below 1e-12 relative.
void expect_close(double actual, double expected) {
  EXPECT_NEAR(actual, expected, 1e-12 * std::abs(expected));
}

TEST(PairedT, EqualsSciPy) {
  const TTest test = paired_t_test(kMuon, kAdamw);
  expect_close(test.difference, -0.06392000000000006);
  expect_close(*test.t, -16.719812906529015);
  expect_close(*test.p, 7.4978895337156112e-05);
  expect_close(test.interval->low, -0.074534375418934429);
  expect_close(test.interval->high, -0.053305624581065691);
  EXPECT_EQ(test.df, 4);
  EXPECT_TRUE(test.spread);
}

TEST(PairedT, EqualsSciPyWhereNothingIsDistinguishable) {
  const TTest test = paired_t_test(kNear, kAdamw);
  expect_close(*test.t, 0.038684727576474898);
  expect_close(*test.p, 0.97099549639220728);
  expect_close(test.interval->low, -0.0042462654631116687);
  expect_close(test.interval->high, 0.0043662654631120993);
}

TEST(PairedT, ChangesSignWithTheOrder) {
  const TTest forth = paired_t_test(kMuon, kAdamw);
  const TTest back = paired_t_test(kAdamw, kMuon);
  EXPECT_EQ(forth.difference, -back.difference);
  EXPECT_EQ(*forth.t, -*back.t);
  EXPECT_EQ(*forth.p, *back.p);
  EXPECT_EQ(forth.interval->low, -back.interval->high);
}

TEST(PairedT, HasNoPBelowThreePairs) {
  const std::array<double, 2> a = {1.0, 2.0};
  const std::array<double, 2> b = {1.5, 2.75};
  const TTest test = paired_t_test(a, b);
  EXPECT_DOUBLE_EQ(test.difference, -0.625);
  EXPECT_FALSE(test.t);
  EXPECT_FALSE(test.p);
  EXPECT_FALSE(test.interval);
}

TEST(PairedT, GivesNoPWithoutSpread) {
  // 0.1 is not exact in binary: the differences agree up to rounding only.
  std::array<double, 5> shifted = kAdamw;
  for (double& value : shifted) value -= 0.1;
  for (const auto& sample : {shifted, kAdamw}) {
    const TTest test = paired_t_test(sample, kAdamw);
    EXPECT_FALSE(test.spread);
    EXPECT_FALSE(test.t);
    EXPECT_FALSE(test.p);
    EXPECT_FALSE(test.interval);
    EXPECT_TRUE(std::isfinite(test.difference));
  }
}

TEST(PairedT, TestsASmallButRealSpread) {
  std::array<double, 5> shifted = kAdamw;
  for (std::size_t i = 0; i < shifted.size(); ++i) {
    shifted[i] -= 0.1 + 1e-9 * static_cast<double>(i);
  }
  EXPECT_TRUE(paired_t_test(shifted, kAdamw).p.has_value());
}

TEST(WelchT, EqualsSciPy) {
  const TTest even = welch_t_test(kMuon, kAdamw);
  expect_close(*even.t, -5.5185245068652282);
  expect_close(even.df, 7.4094297107408895);
  expect_close(*even.p, 0.00073193032623515564);
  expect_close(even.interval->low, -0.091005145066435644);
  expect_close(even.interval->high, -0.036834854933563421);
  const TTest uneven = welch_t_test(kShort, kAdamw);
  expect_close(*uneven.t, -3.4129640787497966);
  expect_close(uneven.df, 2.9397404390220796);
  expect_close(*uneven.p, 0.043375343842970301);
  expect_close(uneven.interval->low, -0.10679438835743812);
  expect_close(uneven.interval->high, -0.0031122783092291384);
}

TEST(WelchT, GivesNoPWithoutSpread) {
  const std::array<double, 3> ones = {1, 1, 1};
  const std::array<double, 3> twos = {2, 2, 2};
  const TTest test = welch_t_test(ones, twos);
  EXPECT_EQ(test.difference, -1);
  EXPECT_FALSE(test.spread);
  EXPECT_FALSE(test.p);
}

TEST(TQuantile, EqualsSciPy) {
  expect_close(t_quantile(0.975, 1), 12.706204736174694);
  expect_close(t_quantile(0.975, 4), 2.7764451051977934);
  expect_close(t_quantile(0.975, 19), 2.0930240544083087);
  expect_close(t_quantile(0.6, 2.5), 0.28145951274854769);
}

TEST(Moments, EqualNumPy) {
  expect_close(population_deviation(kMuon), 0.018549285700532922);
  expect_close(standard_deviation(kMuon), 0.02073873188022821);
  EXPECT_EQ(mean(std::array<double, 1>{3.5}), 3.5);
}

TEST(HedgesG, EqualsNumPy) {
  expect_close(*hedges_g(kMuon, kAdamw), -3.1524579962854564);
  expect_close(*hedges_g(kShort, kAdamw), -2.4789436731788936);
  EXPECT_FALSE(
      hedges_g(std::array<double, 2>{1, 1}, std::array<double, 2>{2, 2}));
}

TEST(PooledT, EqualsSciPy) {
  const TTest even = pooled_t_test(kMuon, kAdamw);
  expect_close(*even.t, -5.5185245068652282);
  expect_close(*even.p, 0.00056135587198703069);
  EXPECT_EQ(even.df, 8);
  const TTest uneven = pooled_t_test(kShort, kNear);
  expect_close(*uneven.t, -4.1036805902055056);
  expect_close(*uneven.p, 0.0063311288359356324);
}

TEST(OneSampleT, EqualsSciPy) {
  const TTest test = one_sample_t_test(kMuon, 4.6);
  expect_close(*test.t, -0.24798798585899201);
  expect_close(*test.p, 0.81635409941940862);
}

TEST(TTests, IntervalsWidenWithConfidence) {
  const TTest wide = paired_t_test(kMuon, kAdamw, 0.01);
  const TTest narrow = paired_t_test(kMuon, kAdamw, 0.1);
  EXPECT_LT(wide.interval->low, narrow.interval->low);
  EXPECT_EQ(wide.p, narrow.p);
}

TEST(Equivalence, EqualsTwoOneSidedTestsOfSciPy) {
  const TTest test = paired_t_test(kNear, kAdamw);
  const auto found = equivalence_test(test, 0.005);
  expect_close(found->p, 0.016686953828006588);
  EXPECT_TRUE(found->equivalent);
  EXPECT_FALSE(equivalence_test(test, 0.005, 0.01)->equivalent);
  EXPECT_FALSE(
      equivalence_test(paired_t_test(kMuon, kAdamw), 0.005)->equivalent);
}

TEST(Equivalence, IsShownWhereTheNinetyPercentIntervalIsInside) {
  // The dual: p < alpha if and only if the 1 - 2 alpha interval is inside.
  const TTest test = paired_t_test(kNear, kAdamw, 0.1);
  const double reach = std::max(-test.interval->low, test.interval->high);
  EXPECT_TRUE(equivalence_test(test, reach * (1 + 1e-9))->equivalent);
  EXPECT_FALSE(equivalence_test(test, reach * (1 - 1e-9))->equivalent);
}

TEST(Equivalence, HasNoPWithoutATest) {
  const std::array<double, 2> two = {1, 2};
  EXPECT_FALSE(equivalence_test(paired_t_test(two, two), 0.1));
}

TEST(Pearson, EqualsSciPy) {
  const auto found = pearson(kMuon, kAdamw);
  expect_close(found->r, 0.92884658855544433);
  expect_close(*found->p, 0.022539128466481009);
  EXPECT_EQ(pearson(kMuon, kMuon)->r, 1);
  EXPECT_FALSE(pearson(std::array<double, 3>{1, 1, 1}, kShort));
}

TEST(Quantile, EqualsNumPy) {
  expect_close(quantile(kMuon, 0.9), 4.6181799999999997);
  EXPECT_EQ(quantile(kMuon, 0), 4.5773);
  EXPECT_EQ(quantile(kMuon, 1), 4.6301);
  EXPECT_EQ(median(kMuon), 4.5988);
  EXPECT_EQ(median(std::array<double, 2>{1, 2}), 1.5);
}

TEST(LabelPermutation, EqualsSciPy) {
  expect_close(*label_permutation_test(kMuon, kAdamw).p, 0.0079365079365079361);
  const LabelPermutation uneven = label_permutation_test(kShort, kNear);
  expect_close(*uneven.p, 0.035714285714285712);
  expect_close(uneven.floor, 2 / 56.0);
}

TEST(LabelPermutation, CannotGoBelowItsFloor) {
  const std::array<double, 3> low = {1, 2, 3};
  const std::array<double, 3> high = {7, 8, 9};
  const LabelPermutation test = label_permutation_test(low, high);
  EXPECT_EQ(*test.p, 0.1);
  EXPECT_EQ(test.floor, 0.1);
  const std::array<double, 4> more = {7, 8, 9, 10};
  expect_close(label_permutation_test(low, more).floor, 2 / 35.0);
  expect_close(*label_permutation_test(low, more).p, 2 / 35.0);
}

TEST(LabelPermutation, CountsTiesThatRoundApart) {
  // All splits of equal values reach the observed difference, which is zero.
  const std::array<double, 3> tenth = {0.1, 0.2, 0.3};
  const std::array<double, 3> same = {0.3, 0.1, 0.2};
  EXPECT_EQ(*label_permutation_test(tenth, same).p, 1);
}

TEST(LabelPermutation, HasNoPBelowThreeAndRefusesMany) {
  const std::array<double, 2> two = {1, 2};
  EXPECT_FALSE(label_permutation_test(two, kMuon).p);
  const std::vector<double> many(13, 1.0);
  EXPECT_NE(error_of([&] {
              return label_permutation_test(many, many);
            }).find("splits"),
            std::string::npos);
}

TEST(ProbabilityOfImprovement, CountsTiesHalf) {
  EXPECT_EQ(probability_of_improvement(kMuon, kAdamw), 1);
  EXPECT_EQ(probability_of_improvement(kAdamw, kMuon), 0);
  EXPECT_EQ(probability_of_improvement(kAdamw, kAdamw), 0.5);
  // 1 ties with 1 and is below 2; 3 is below neither: 1.5 of 4.
  EXPECT_EQ(probability_of_improvement(std::array<double, 2>{1, 3},
                                       std::array<double, 2>{1, 2}),
            0.375);
}

TEST(SignFlip, CannotGoBelowItsFloor) {
  const std::array<double, 5> same_sign = {-0.06, -0.07, -0.05, -0.06, -0.07};
  const SignFlip flip = sign_flip_test(same_sign);
  EXPECT_EQ(flip.floor, 0.0625);
  EXPECT_EQ(*flip.p, 0.0625);
}

TEST(SignFlip, CountsPatternsByHand) {
  // |sums| of the four patterns that keep the last sign: 4, 2, 0, 6.
  EXPECT_EQ(*sign_flip_test(std::array<double, 3>{3, 2, -1}).p, 0.5);
  EXPECT_EQ(*sign_flip_test(std::array<double, 3>{0, 0, 0}).p, 1);
}

TEST(SignFlip, EqualsSciPysPermutationTest) {
  std::array<double, 5> d{};
  for (std::size_t i = 0; i < d.size(); ++i) d[i] = kNear[i] - kAdamw[i];
  EXPECT_EQ(*sign_flip_test(d).p, 1);
  for (std::size_t i = 0; i < d.size(); ++i) d[i] = kMuon[i] - kAdamw[i];
  EXPECT_EQ(*sign_flip_test(d).p, 0.0625);
}

TEST(SignFlip, CountsTiesThatRoundApart) {
  // 0.1 + 0.2 - 0.3 is not 0 in binary; every pattern must reach it.
  EXPECT_EQ(*sign_flip_test(std::array<double, 3>{0.1, 0.2, -0.3}).p, 1);
}

TEST(SignFlip, EnumeratesTwentyAndRefusesMore) {
  const std::vector<double> twenty(20, 1.0);
  EXPECT_EQ(*sign_flip_test(twenty).p, std::ldexp(1.0, -19));
  const std::vector<double> more(21, 1.0);
  EXPECT_NE(error_of([&] { return sign_flip_test(more); }).find("at most 20"),
            std::string::npos);
}

TEST(SignFlip, HasNoPBelowThree) {
  const SignFlip flip = sign_flip_test(std::array<double, 2>{1, 2});
  EXPECT_FALSE(flip.p);
  EXPECT_EQ(flip.floor, 0.5);
}

TEST(Holm, AdjustsByHand) {
  // Sorted .01, .03, .04: 3 * .01, 2 * .03, then max(.06, 1 * .04).
  const std::vector<double> adjusted =
      holm(std::array<double, 3>{0.04, 0.01, 0.03});
  EXPECT_DOUBLE_EQ(adjusted[0], 0.06);
  EXPECT_DOUBLE_EQ(adjusted[1], 0.03);
  EXPECT_DOUBLE_EQ(adjusted[2], 0.06);
}

TEST(Holm, StopsAtOne) {
  EXPECT_EQ(holm(std::array<double, 2>{0.7, 0.8}), (std::vector<double>{1, 1}));
  EXPECT_EQ(holm(std::array<double, 1>{0.02}), (std::vector<double>{0.02}));
  EXPECT_TRUE(holm({}).empty());
}

TEST(Statistics, RefuseNonsense) {
  const std::array<double, 1> one = {1};
  const std::array<double, 2> two = {1, 2};
  const std::array<double, 3> nan = {1, kNan, 3};
  const std::array<double, 3> infinite = {1, 2, kInfinity};
  EXPECT_NE(
      error_of([&] { return paired_t_test(two, kShort); }).find("got 2 and 3"),
      std::string::npos);
  EXPECT_NE(error_of([&] {
              return paired_t_test(one, one);
            }).find("got 1, expected 2 or more"),
            std::string::npos);
  EXPECT_NE(error_of([&] {
              return paired_t_test(nan, kShort);
            }).find("value 1 is not finite"),
            std::string::npos);
  EXPECT_NE(error_of([&] {
              return paired_t_test(kShort, infinite);
            }).find("value 2 is not finite"),
            std::string::npos);
  error_of([&] { return welch_t_test(one, two); });
  error_of([&] { return welch_t_test(two, nan); });
  error_of([&] { return sign_flip_test(one); });
  error_of([&] { return sign_flip_test(nan); });
  error_of([&] { return hedges_g(one, two); });
  error_of([&] { return standard_deviation(one); });
  error_of([&] { return mean(std::array<double, 0>{}); });
  error_of([&] { return holm(std::array<double, 1>{kNan}); });
  error_of([&] { return holm(std::array<double, 1>{1.5}); });
  error_of([&] { return holm(std::array<double, 1>{-0.1}); });
  error_of([&] { return t_quantile(1, 4); });
  error_of([&] { return t_quantile(0.5, 0); });
  error_of([&] { return pooled_t_test(one, two); });
  error_of([&] { return one_sample_t_test(two, kNan); });
  error_of([&] { return paired_t_test(two, two, 0); });
  error_of([&] { return equivalence_test(TTest{}, 0); });
  error_of([&] { return quantile(two, 1.5); });
  error_of([&] { return pearson(two, kShort); });
  error_of([&] { return probability_of_improvement(two, nan); });
}

}  // namespace
}  // namespace muonlab::statistics
