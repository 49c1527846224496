#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "muonlab/study/search.h"
#include "tests/support/expect_error.h"

namespace muonlab::study {
namespace {

using ::testing::SizeIs;

using Loss = std::function<double(const Trial&)>;

ArmPlan map_arm() {
  ArmPlan arm;
  arm.name = "arm";
  arm.rule = "muon";
  arm.hidden = {1, 2, 4, 8};
  arm.auxiliary = {4};
  arm.keys = {{"optim.weight_decay", {0, 0.1, 0.2}}};
  return arm;
}

// A bowl in log2 of the rate and in the decay, with its bottom at 3.
Loss bowl(double hidden, double decay) {
  return [=](const Trial& t) {
    const double h = std::log2(t.hidden / hidden);
    const double d = (t.settings.at(0).second - decay) / 0.1;
    return 3 + 0.25 * h * h + 0.1 * d * d;
  };
}

std::vector<Trial> play(Search& search, const Loss& loss) {
  std::vector<Trial> all;
  while (!search.finished()) {
    const auto more = search.next();
    if (more.empty()) {
      ADD_FAILURE() << "the search waits for nothing, and is not over";
      break;
    }
    for (const Trial& trial : more) {
      all.push_back(trial);
      const double value = loss(trial);
      search.record(trial, std::isfinite(value) ? value : 7,
                    !std::isfinite(value));
    }
  }
  EXPECT_EQ(std::set<Trial>(all.begin(), all.end()).size(), all.size())
      << "a trial is handed out twice";
  EXPECT_EQ(search.trials(), static_cast<int>(all.size()));
  return all;
}

SearchPlan grid(std::int64_t extensions) {
  SearchPlan how;
  how.method = "grid";
  how.extensions = extensions;
  return how;
}

TEST(GridSearch, TriesEveryCombination) {
  const auto search = grid_search(map_arm(), grid(0));
  const auto trials = play(*search, bowl(2, 0.1));
  EXPECT_THAT(trials, SizeIs(12));
  std::set<std::pair<double, double>> pairs;
  for (const Trial& t : trials) {
    pairs.emplace(t.hidden, t.settings.at(0).second);
    EXPECT_EQ(t.auxiliary, 4);
    EXPECT_EQ(t.length, 1);
  }
  EXPECT_THAT(pairs, SizeIs(12));
  EXPECT_EQ(search->best().hidden, 2);
  EXPECT_EQ(search->best().settings.at(0).second, 0.1);
}

TEST(GridSearch, ExtendsTheKeyOnWhoseEdgeTheBestLies) {
  const auto search = grid_search(map_arm(), grid(2));
  const auto trials = play(*search, bowl(20, 0.2));
  ASSERT_THAT(trials, SizeIs(14));
  // The rate first, beyond 8; from 16 the loss still falls, so 32 as well.
  EXPECT_EQ(trials[12].hidden, 16);
  EXPECT_EQ(trials[12].settings.at(0).second, 0.2);
  EXPECT_TRUE(search->is_extension(trials[12]));
  EXPECT_EQ(trials[13].hidden, 32);
  EXPECT_EQ(search->best().hidden, 16);
}

TEST(GridSearch, ADecayOfZeroIsNoEdge) {
  const auto search = grid_search(map_arm(), grid(1));
  const auto trials = play(*search, bowl(2, 0));
  // So the extra trial narrows the gap along the last key, half way to 0.1.
  ASSERT_THAT(trials, SizeIs(13));
  EXPECT_EQ(trials[12].settings.at(0).second, 0.05);
  EXPECT_FALSE(search->summary().at(2).edge);
}

TEST(GridSearch, SummaryFollowsTheLinesThroughTheBest) {
  const auto search = grid_search(map_arm(), grid(0));
  play(*search, bowl(2, 0.1));
  const auto summary = search->summary();
  ASSERT_THAT(summary, SizeIs(3));
  EXPECT_EQ(summary[0].rate, "hidden");
  EXPECT_EQ(summary[0].best, 2);
  ASSERT_TRUE(summary[0].fitted_optimum.has_value());
  EXPECT_NEAR(*summary[0].fitted_optimum, 2, 1e-9);
  EXPECT_NEAR(*summary[0].curvature, 0.25, 1e-9);
  EXPECT_EQ(summary[2].rate, "optim.weight_decay");
  EXPECT_EQ(summary[2].best, 0.1);
}

SearchPlan halving(std::vector<double> rungs, std::int64_t audit) {
  SearchPlan how = grid(0);
  how.rungs = std::move(rungs);
  how.audit = audit;
  return how;
}

std::vector<Trial> of_length(const std::vector<Trial>& all, double length) {
  std::vector<Trial> some;
  std::copy_if(all.begin(), all.end(), std::back_inserter(some),
               [&](const Trial& t) { return t.length == length; });
  return some;
}

TEST(GridSearch, RungsKeepTheBetterHalfAndFinishItAtFullLength) {
  const auto search = grid_search(map_arm(), halving({0.1, 0.4}, 0));
  const auto loss = bowl(2, 0.1);
  const auto trials = play(*search, loss);
  EXPECT_THAT(of_length(trials, 0.1), SizeIs(12));
  EXPECT_THAT(of_length(trials, 0.4), SizeIs(6));
  const auto full = of_length(trials, 1);
  EXPECT_THAT(full, SizeIs(3));
  // Exactly the three lowest of the bowl.
  std::vector<double> losses;
  for (const Trial& t : of_length(trials, 0.1)) losses.push_back(loss(t));
  std::sort(losses.begin(), losses.end());
  for (const Trial& t : full) EXPECT_LE(loss(t), losses[2]);
  EXPECT_EQ(search->best().hidden, 2);
}

TEST(GridSearch, AuditsFinishTheBestOfTheDiscardedAndNeverWin) {
  const auto search = grid_search(map_arm(), halving({0.25}, 2));
  // The short runs prefer small rates, the long ones the largest: what halving
  // throws away is better, and only the audit can tell.
  const auto trials = play(*search, [](const Trial& t) {
    const double h = std::log2(t.hidden);
    return (t.length < 1 ? 3 + h : 6 - h) + t.settings.at(0).second;
  });
  std::vector<Trial> audits;
  for (const Trial& t : trials) {
    if (search->is_audit(t)) audits.push_back(t);
  }
  ASSERT_THAT(audits, SizeIs(2));
  for (const Trial& t : audits) {
    EXPECT_EQ(t.length, 1);
    EXPECT_EQ(t.hidden, 4) << "not the likeliest mistake";
  }
  EXPECT_EQ(search->best().hidden, 2) << "an audit must not be chosen";
}

TEST(GridSearch, PlannedTrialsAreThoseThatRun) {
  StudyPlan plan;
  for (const std::int64_t audit : {0, 2}) {
    for (const std::vector<double>& rungs :
         {std::vector<double>{}, std::vector<double>{0.2},
          std::vector<double>{0.1, 0.5}}) {
      plan.search = halving(rungs, audit);
      plan.search.extensions = 1;
      const auto search = grid_search(map_arm(), plan.search);
      EXPECT_EQ(play(*search, bowl(2.3, 0.1)).size(),
                planned_trials(plan, map_arm()));
    }
  }
}

TEST(GridSearch, RefusesWhatItNeverAskedFor) {
  const auto search = grid_search(map_arm(), grid(0));
  testing::expect_error(ErrorKind::kInvalidArgument, {"not asked for"}, [&] {
    search->record(Trial{.hidden = 3, .auxiliary = 4}, 1, false);
  });
}

// Coordinates over named keys.

TEST(CoordinateSearch, NamedKeysFollowTheRates) {
  ArmPlan arm = map_arm();
  arm.auxiliary = {4, 2};
  SearchPlan how;
  how.extensions = 0;
  const auto search = coordinate_search(arm, how);
  const auto trials = play(*search, bowl(4, 0.2));
  // Four rates, one more auxiliary, two more decays.
  ASSERT_THAT(trials, SizeIs(7));
  EXPECT_EQ(trials[4].auxiliary, 2);
  EXPECT_EQ(trials[5].settings.at(0).second, 0.1);
  EXPECT_EQ(trials[5].hidden, 4);
  EXPECT_EQ(search->best().settings.at(0).second, 0.2);
  StudyPlan plan;
  plan.search = how;
  EXPECT_EQ(planned_trials(plan, arm), 7U);
}

TEST(CoordinateSearch, AGainBelowTheThresholdMovesNothing) {
  SearchPlan how;
  how.extensions = 0;
  how.threshold = 0.05;
  const auto search = coordinate_search(map_arm(), how);
  // Decay .1 is better than 0 by .01 alone.
  play(*search, [](const Trial& t) {
    return 3 + std::fabs(std::log2(t.hidden / 2)) -
           (t.settings.at(0).second == 0.1 ? 0.01 : 0);
  });
  EXPECT_EQ(search->best().settings.at(0).second, 0);
  EXPECT_EQ(search->best().hidden, 2);
}

TEST(CoordinateSearch, ASecondPassLooksBesideWhatIsHeld) {
  SearchPlan how;
  how.extensions = 0;
  how.passes = 2;
  const auto search = coordinate_search(map_arm(), how);
  // The best rate depends on the decay: with .2 it is 8, without it is 4.
  const auto trials = play(*search, [](const Trial& t) {
    const double decay = t.settings.at(0).second;
    const double h = std::log2(t.hidden / (decay == 0.2 ? 8 : 4));
    return 3 + 0.25 * h * h - decay * 4;
  });
  EXPECT_EQ(search->best().hidden, 8);
  EXPECT_EQ(search->best().settings.at(0).second, 0.2);
  EXPECT_LE(trials.size(), 12U) << "a second pass is no second search";
}

TEST(MakeSearch, AnArmWithNothingToChooseIsNotSearched) {
  ArmPlan arm = map_arm();
  arm.hidden = {2};
  arm.keys = {{"optim.weight_decay", {0.3}}};
  ASSERT_TRUE(arm.is_fixed());
  const auto search = make_search(arm, {});
  EXPECT_TRUE(search->finished());
  EXPECT_TRUE(search->next().empty());
  EXPECT_EQ(search->best(), (Trial{2, 4, {{"optim.weight_decay", 0.3}}}));
  EXPECT_EQ(search->trials(), 0);
}

TEST(MakeSearch, AJointArmMovesItsAuxiliaryRateInProportion) {
  ArmPlan arm;
  arm.name = "joint";
  arm.rule = "muon";
  arm.joint = {0.01, 0.02};
  arm.auxiliary_ratio = 0.1;
  const auto search = make_search(arm, {});
  const auto trials = search->next();
  ASSERT_THAT(trials, SizeIs(2));
  EXPECT_EQ(trials[1].hidden, 0.02);
  EXPECT_DOUBLE_EQ(trials[1].auxiliary, 0.002);
}

}  // namespace
}  // namespace muonlab::study
