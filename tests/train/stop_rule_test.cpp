#include "muonlab/train/stop_rule.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

namespace muonlab::train {
namespace {

// Feeds losses from step 0 on; the step that ended the run, or -1.
std::int64_t ended_at(StopRule rule, const std::vector<double>& losses) {
  for (std::size_t i = 0; i < losses.size(); ++i) {
    const auto step = static_cast<std::int64_t>(i);
    if (!rule.look(step, losses[i]).empty()) return step;
  }
  return -1;
}

constexpr StopRuleOptions kOptions{.ratio = 2, .after = 3, .patience = 3};

TEST(StopRule, EndsAfterSoManyBadStepsInARow) {
  EXPECT_EQ(ended_at(StopRule(kOptions), {4, 3, 2, 2, 5, 5, 5, 5}), 6);
}

TEST(StopRule, AGoodStepBeginsTheCountAnew) {
  EXPECT_EQ(ended_at(StopRule(kOptions), {4, 3, 2, 2, 5, 5, 4, 5, 5, 5}), 9);
}

TEST(StopRule, EarlyStepsAreNotLookedAt) {
  // The lowest loss counts from the first step on.
  EXPECT_EQ(ended_at(StopRule(kOptions), {1, 9, 9, 9, 9, 9, 9}), 6);
  EXPECT_EQ(ended_at(StopRule(kOptions), {1, 9, 9, 9, 9, 9}), -1);
}

TEST(StopRule, TwiceTheLowestIsStillGood) {
  EXPECT_EQ(ended_at(StopRule(kOptions), {2, 2, 2, 2, 4, 4, 4, 4, 4}), -1);
}

TEST(StopRule, NothingEndsARunWithoutARatio) {
  EXPECT_EQ(ended_at(StopRule({}), std::vector<double>(300, 1e9)), -1);
}

TEST(StopRule, SaysWhy) {
  StopRule rule({.ratio = 1.5, .after = 0, .patience = 1});
  EXPECT_EQ(rule.look(0, 2), "");
  EXPECT_EQ(rule.look(1, 3.5),
            "the training loss was above 1.5 times its lowest, 2.0000, for 1 "
            "steps in a row (train.stop_ratio)");
}

}  // namespace
}  // namespace muonlab::train
