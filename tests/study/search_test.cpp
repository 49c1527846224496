#include "muonlab/study/search.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "tests/support/expect_error.h"

namespace muonlab::study {
namespace {

using Loss = std::function<double(Trial)>;

constexpr double kEpsilon = std::numeric_limits<double>::epsilon();
constexpr double kInitialLoss = 7;

ArmPlan two_rates() {
  ArmPlan arm;
  arm.name = "arm";
  arm.rule = "muon";
  arm.hidden = {1, 2, 4, 8};
  arm.auxiliary = {8, 4, 16, 32};
  return arm;
}

ArmPlan joint_rate() {
  ArmPlan arm;
  arm.name = "joint";
  arm.rule = "adamw";
  arm.joint = {0.5, 1, 2, 4, 8, 16, 32};
  return arm;
}

std::unique_ptr<Search> coordinates(const ArmPlan& arm,
                                    std::int64_t extensions) {
  SearchPlan how;
  how.extensions = extensions;
  return coordinate_search(arm, how);
}

// A bowl in log2 of both rates, with its bottom, 3, at `hidden`, `auxiliary`.
Loss bowl(double hidden, double auxiliary) {
  return [=](Trial rates) {
    const double h = std::log2(rates.hidden / hidden);
    const double a = std::log2(rates.auxiliary / auxiliary);
    return 3 + 0.25 * h * h + 0.125 * a * a;
  };
}

enum class Order { kAsAsked, kReversed, kOneByOneFromTheBack };

// Plays the study: hands every trial's loss back until the search is over.
// A loss that is not finite is a diverged trial.
std::vector<Trial> play(Search& search, const Loss& loss,
                        Order order = Order::kAsAsked) {
  std::vector<Trial> all;
  std::vector<Trial> open;
  while (!search.finished()) {
    const auto more = search.next();
    all.insert(all.end(), more.begin(), more.end());
    open.insert(open.end(), more.begin(), more.end());
    if (open.empty()) {
      ADD_FAILURE() << "the search waits for nothing, and is not over";
      break;
    }
    if (order != Order::kAsAsked) std::reverse(open.begin(), open.end());
    const std::size_t count =
        order == Order::kOneByOneFromTheBack ? 1 : open.size();
    for (std::size_t i = 0; i < count; ++i) {
      const double value = loss(open[i]);
      const bool diverged = !std::isfinite(value);
      search.record(open[i], diverged ? kInitialLoss : value, diverged);
    }
    open.erase(open.begin(), open.begin() + static_cast<std::ptrdiff_t>(count));
  }
  EXPECT_TRUE(search.next().empty()) << "a search that is over asks for more";
  return all;
}

std::vector<Trial> extensions_of(const Search& search,
                                 const std::vector<Trial>& trials) {
  std::vector<Trial> found;
  for (const Trial& rates : trials) {
    if (search.is_extension(rates)) found.push_back(rates);
  }
  return found;
}

void expect_rates(Trial actual, double hidden, double auxiliary) {
  // One square root or one quotient away from the grid's numbers.
  EXPECT_NEAR(actual.hidden, hidden, 4 * kEpsilon * hidden);
  EXPECT_NEAR(actual.auxiliary, auxiliary, 4 * kEpsilon * auxiliary);
}

TEST(CoordinateSearch, FirstAsksForTheHiddenGridAtTheFirstAuxiliaryRate) {
  auto owned = coordinates(two_rates(), 1);
  Search& search = *owned;
  EXPECT_EQ(search.next(),
            (std::vector<Trial>{{1, 8}, {2, 8}, {4, 8}, {8, 8}}));
  EXPECT_TRUE(search.next().empty()) << "a trial is handed out twice";
  EXPECT_EQ(search.trials(), 4);
  EXPECT_FALSE(search.finished());
}

TEST(CoordinateSearch, AsksForTheAuxiliaryGridOnceEveryHiddenRateHasItsResult) {
  auto owned = coordinates(two_rates(), 0);
  Search& search = *owned;
  const auto loss = bowl(2, 8);
  const auto hidden = search.next();
  for (std::size_t i = 0; i + 1 < hidden.size(); ++i) {
    search.record(hidden[i], loss(hidden[i]), false);
    EXPECT_TRUE(search.next().empty());
  }
  search.record(hidden.back(), loss(hidden.back()), false);
  // At the best hidden rate; the first auxiliary one has been run already.
  EXPECT_EQ(search.next(), (std::vector<Trial>{{2, 4}, {2, 16}, {2, 32}}));
}

TEST(CoordinateSearch, AnOptimumInsideGetsTheMidpointToTheBetterNeighbour) {
  auto owned = coordinates(two_rates(), 1);
  Search& search = *owned;
  // Nearer to 8 than to 16, and 16 better than 4: the gap is sqrt(8 * 16).
  const auto trials = play(search, bowl(2.1, 11));
  EXPECT_EQ(trials.size(), 8U);
  const auto extra = extensions_of(search, trials);
  ASSERT_EQ(extra.size(), 1U);
  expect_rates(extra[0], 2, std::sqrt(8.0 * 16.0));
  EXPECT_EQ(search.best(), extra[0]);
}

TEST(CoordinateSearch, AHiddenOptimumAtTheLowerEdgeIsLookedForBeyondIt) {
  auto owned = coordinates(two_rates(), 1);
  Search& search = *owned;
  const auto trials = play(search, bowl(0.5, 8));
  const auto extra = extensions_of(search, trials);
  ASSERT_EQ(extra.size(), 1U);
  expect_rates(extra[0], 0.5, 8);
  expect_rates(search.best(), 0.5, 8);
  // The auxiliary rates follow at the new best rate, not at the grid's.
  EXPECT_EQ(std::count_if(trials.begin(), trials.end(),
                          [](Trial r) { return r.hidden == 0.5; }),
            4);
}

TEST(CoordinateSearch, AHiddenOptimumAtTheUpperEdgeIsLookedForBeyondIt) {
  auto owned = coordinates(two_rates(), 1);
  Search& search = *owned;
  const auto trials = play(search, bowl(16, 8));
  const auto extra = extensions_of(search, trials);
  ASSERT_EQ(extra.size(), 1U);
  expect_rates(extra[0], 16, 8);
  expect_rates(search.best(), 16, 8);
}

TEST(CoordinateSearch, AnAuxiliaryOptimumAtAnEdgeIsLookedForBeyondIt) {
  auto owned_lower = coordinates(two_rates(), 1);
  Search& lower = *owned_lower;
  auto extra = extensions_of(lower, play(lower, bowl(2, 2)));
  ASSERT_EQ(extra.size(), 1U);
  expect_rates(extra[0], 2, 2);
  auto owned_upper = coordinates(two_rates(), 1);
  Search& upper = *owned_upper;
  extra = extensions_of(upper, play(upper, bowl(4, 64)));
  ASSERT_EQ(extra.size(), 1U);
  expect_rates(extra[0], 4, 64);
}

TEST(CoordinateSearch, ExtendsByTheRatioAtThatEdge) {
  ArmPlan arm = two_rates();
  arm.hidden = {1, 3, 4, 6};
  auto owned_down = coordinates(arm, 1);
  Search& down = *owned_down;
  expect_rates(extensions_of(down, play(down, bowl(0.2, 8))).at(0), 1.0 / 3, 8);
  auto owned_up = coordinates(arm, 1);
  Search& up = *owned_up;
  expect_rates(extensions_of(up, play(up, bowl(20, 8))).at(0), 9, 8);
}

TEST(CoordinateSearch, DivergedRatesArePassedOver) {
  auto owned = coordinates(two_rates(), 1);
  Search& search = *owned;
  const auto trials = play(search, [](Trial rates) {
    return rates.hidden >= 4 || rates.auxiliary >= 16
               ? std::numeric_limits<double>::quiet_NaN()
               : bowl(2, 8)(rates);
  });
  EXPECT_EQ(trials.size(), 8U);
  EXPECT_EQ(search.best(), (Trial{2, 8}));
  // Both neighbours of 8: 4 is measured, 16 has the loss at initialisation.
  const auto extra = extensions_of(search, trials);
  ASSERT_EQ(extra.size(), 1U);
  expect_rates(extra[0], 2, std::sqrt(4.0 * 8.0));
}

TEST(CoordinateSearch, EndsEvenWhenEveryTrialDiverges) {
  for (const std::int64_t extensions : {0, 1, 3}) {
    auto owned = coordinates(two_rates(), extensions);
    Search& search = *owned;
    const auto trials = play(
        search, [](Trial) { return std::numeric_limits<double>::infinity(); });
    EXPECT_EQ(trials.size(), 7U + static_cast<std::size_t>(extensions));
    EXPECT_TRUE(search.finished());
    for (const RateSearch& one : search.summary()) {
      EXPECT_FALSE(one.fitted_optimum.has_value());
    }
  }
}

TEST(CoordinateSearch, EveryArmGetsEqualTrialsWhereverItsOptimumLies) {
  // From far below the grids to far above them, and a loss without a bottom.
  std::vector<Loss> losses = {
      [](Trial r) { return 5 - std::log2(r.hidden) - std::log2(r.auxiliary); },
      [](Trial r) { return 5 + std::log2(r.hidden) + std::log2(r.auxiliary); },
      [](Trial) { return 4.0; }};
  for (double hidden = 0.125; hidden <= 64; hidden *= 2) {
    for (double auxiliary = 0.5; auxiliary <= 256; auxiliary *= 2) {
      losses.push_back(bowl(hidden, auxiliary));
    }
  }
  for (const std::int64_t extensions : {0, 1, 2, 5}) {
    for (std::size_t i = 0; i < losses.size(); ++i) {
      auto owned_pair = coordinates(two_rates(), extensions);
      Search& pair = *owned_pair;
      const auto trials = play(pair, losses[i]);
      EXPECT_EQ(trials.size(), 7U + static_cast<std::size_t>(extensions))
          << "loss " << i << ", extensions " << extensions;
      EXPECT_EQ(pair.trials(), static_cast<int>(trials.size()));
      EXPECT_EQ(extensions_of(pair, trials).size(),
                static_cast<std::size_t>(extensions));
      EXPECT_EQ(std::set<Trial>(trials.begin(), trials.end()).size(),
                trials.size())
          << "a trial is run twice";
      auto owned_joint = coordinates(joint_rate(), extensions);
      Search& joint = *owned_joint;
      EXPECT_EQ(play(joint, losses[i]).size(),
                7U + static_cast<std::size_t>(extensions));
    }
  }
}

TEST(CoordinateSearch, TheBestIsTheSmallestLossOfAllTrials) {
  for (const double hidden : {0.3, 2.5, 30.0}) {
    for (const double auxiliary : {1.0, 10.0, 99.0}) {
      const auto loss = bowl(hidden, auxiliary);
      auto owned = coordinates(two_rates(), 2);
      Search& search = *owned;
      const auto trials = play(search, loss);
      const auto best =
          std::min_element(trials.begin(), trials.end(),
                           [&](Trial a, Trial b) { return loss(a) < loss(b); });
      EXPECT_EQ(search.best(), *best) << hidden << ", " << auxiliary;
    }
  }
}

TEST(CoordinateSearch, TheOrderOfResultsChangesNothing) {
  for (const double hidden : {0.5, 2.1, 16.0}) {
    for (const double auxiliary : {2.0, 11.0, 64.0}) {
      std::vector<std::set<Trial>> asked;
      std::vector<Trial> best;
      for (const Order order :
           {Order::kAsAsked, Order::kReversed, Order::kOneByOneFromTheBack}) {
        auto owned = coordinates(two_rates(), 2);
        Search& search = *owned;
        const auto trials = play(search, bowl(hidden, auxiliary), order);
        asked.emplace_back(trials.begin(), trials.end());
        best.push_back(search.best());
      }
      EXPECT_EQ(asked[0], asked[1]);
      EXPECT_EQ(asked[0], asked[2]);
      EXPECT_EQ(best[0], best[1]);
      EXPECT_EQ(best[0], best[2]);
    }
  }
}

TEST(CoordinateSearch, TwoExtensionsFollowAnEdgeTwice) {
  auto owned = coordinates(two_rates(), 2);
  Search& search = *owned;
  const auto extra = extensions_of(search, play(search, bowl(64, 8)));
  ASSERT_EQ(extra.size(), 2U);
  expect_rates(extra[0], 16, 8);
  expect_rates(extra[1], 32, 8);
}

TEST(CoordinateSearch, TwoExtensionsWithoutAnEdgeNarrowTheGap) {
  auto owned = coordinates(two_rates(), 2);
  Search& search = *owned;
  const auto extra = extensions_of(search, play(search, bowl(2, 11)));
  ASSERT_EQ(extra.size(), 2U);
  const double first = std::sqrt(8.0 * 16.0);
  expect_rates(extra[0], 2, first);
  // 11 lies between 8 and the first midpoint, 11.3, so 8 is the better side.
  expect_rates(extra[1], 2, std::sqrt(8.0 * first));
}

TEST(CoordinateSearch, WithoutExtensionsOnlyThePlannedTrialsRun) {
  auto owned = coordinates(two_rates(), 0);
  Search& search = *owned;
  const auto trials = play(search, bowl(64, 256));
  EXPECT_EQ(trials.size(), 7U);
  EXPECT_TRUE(extensions_of(search, trials).empty());
  EXPECT_EQ(search.best(), (Trial{8, 32}));
}

TEST(CoordinateSearch, AJointArmHasOneRateForAll) {
  auto owned = coordinates(joint_rate(), 1);
  Search& search = *owned;
  const auto trials = play(search, bowl(4, 4));
  EXPECT_EQ(trials.size(), 8U);
  for (const Trial& rates : trials) EXPECT_EQ(rates.hidden, rates.auxiliary);
  EXPECT_EQ(search.best(), (Trial{4, 4}));
  const auto summary = search.summary();
  ASSERT_EQ(summary.size(), 1U);
  EXPECT_EQ(summary[0].rate, "joint");
  EXPECT_EQ(summary[0].grid, joint_rate().joint);
}

TEST(CoordinateSearch, AGridOfOneRateIsExtendedByDoubling) {
  ArmPlan arm = two_rates();
  arm.auxiliary = {8};
  auto owned = coordinates(arm, 1);
  Search& search = *owned;
  const auto trials = play(search, bowl(2, 8));
  EXPECT_EQ(trials.size(), 5U);
  const auto extra = extensions_of(search, trials);
  ASSERT_EQ(extra.size(), 1U);
  expect_rates(extra[0], 2, 16);
  EXPECT_EQ(search.best(), (Trial{2, 8}));

  arm.hidden = {4};
  auto owned_single = coordinates(arm, 0);
  Search& single = *owned_single;
  EXPECT_EQ(play(single, bowl(2, 8)), (std::vector<Trial>{{4, 8}}));
}

TEST(CoordinateSearch, SummarySaysWhatWasSearchedAndWhereTheBottomLies) {
  auto owned = coordinates(two_rates(), 1);
  Search& search = *owned;
  EXPECT_TRUE(search.summary().empty()) << "no results yet";
  play(search, bowl(2.5, 11));
  const auto summary = search.summary();
  ASSERT_EQ(summary.size(), 2U);
  EXPECT_EQ(summary[0].rate, "hidden");
  EXPECT_EQ(summary[0].grid, (std::vector<double>{1, 2, 4, 8}));
  EXPECT_TRUE(summary[0].added.empty());
  EXPECT_EQ(summary[0].best, 2);
  EXPECT_FALSE(summary[0].edge);
  ASSERT_TRUE(summary[0].fitted_optimum.has_value());
  // An exact parabola through four points: Cramer's rule on numbers below 100
  // keeps all but a few of the sixteen digits.
  EXPECT_NEAR(*summary[0].fitted_optimum, 2.5, 1e-11);
  EXPECT_NEAR(summary[0].curvature.value_or(0), 0.25, 1e-11);
  EXPECT_EQ(summary[0].fit_rates, (std::vector<double>{1, 2, 4, 8}));

  EXPECT_EQ(summary[1].rate, "auxiliary");
  EXPECT_EQ(summary[1].grid, (std::vector<double>{4, 8, 16, 32}));
  ASSERT_EQ(summary[1].added.size(), 1U);
  EXPECT_NEAR(summary[1].added[0], std::sqrt(128.0), 1e-12);
  EXPECT_EQ(summary[1].best, summary[1].added[0]);
  EXPECT_FALSE(summary[1].edge);
  EXPECT_NEAR(summary[1].fitted_optimum.value_or(0), 11, 1e-10);
  EXPECT_NEAR(summary[1].curvature.value_or(0), 0.125, 1e-11);
}

TEST(CoordinateSearch, SummaryAdmitsAnEdgeThatIsLeft) {
  auto owned = coordinates(two_rates(), 1);
  Search& search = *owned;
  play(search, bowl(64, 8));
  const auto summary = search.summary();
  ASSERT_EQ(summary.size(), 2U);
  EXPECT_EQ(summary[0].added, (std::vector<double>{16}));
  EXPECT_EQ(summary[0].best, 16);
  EXPECT_TRUE(summary[0].edge);
  EXPECT_FALSE(summary[1].edge);
}

TEST(CoordinateSearch, RefusesWhatItNeverAskedFor) {
  auto owned = coordinates(two_rates(), 1);
  Search& search = *owned;
  testing::expect_error(ErrorKind::kInvalidArgument, {"3", "not asked for"},
                        [&] { search.record({3, 8}, 1, false); });
  testing::expect_error(ErrorKind::kInvalidArgument, {"arm", "no result"},
                        [&] { (void)search.best(); });
}

}  // namespace
}  // namespace muonlab::study
