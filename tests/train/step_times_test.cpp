#include "muonlab/train/step_times.h"

#include <gtest/gtest.h>

#include "muonlab/train/step_profile.h"

namespace muonlab::train {
namespace {

StepOutcome outcome(double total) {
  StepOutcome o;
  o.forward_seconds = total / 8;
  o.backward_seconds = total / 4;
  o.optimizer_seconds = total / 2;
  o.total_seconds = total;
  return o;
}

TEST(StepTimes, LeaveOutTheFirstFiveStepsOfALongRun) {
  StepTimes times(11);
  for (int step = 0; step < 11; ++step) times.add(outcome(step < 5 ? 64 : 8));
  EXPECT_FALSE(times.counts(4));
  EXPECT_TRUE(times.counts(5));
  EXPECT_EQ(times.totals().steps, 6);
  EXPECT_EQ(times.totals().seconds, 48);
  EXPECT_EQ(times.totals().optimizer_seconds, 24);
  const StepSeconds medians = times.medians();
  EXPECT_EQ(medians.forward, 1);
  EXPECT_EQ(medians.backward, 2);
  EXPECT_EQ(medians.optimizer, 4);
  EXPECT_EQ(medians.other, 1);
}

TEST(StepTimes, CountAllStepsOfAShortRun) {
  StepTimes times(10);
  for (int step = 0; step < 10; ++step) times.add(outcome(8));
  EXPECT_TRUE(times.counts(0));
  EXPECT_EQ(times.totals().steps, 10);
}

TEST(StepTimes, ARunThatEndedEarlyHasMediansOfWhatThereIs) {
  StepTimes times(100);
  EXPECT_EQ(times.medians().forward, 0);
  times.add(outcome(8));
  EXPECT_EQ(times.totals().steps, 0);
  EXPECT_EQ(times.medians().forward, 1);
}

TEST(StepProfile, SharesAndRatesAreThoseOfTheParts) {
  StepProfile profile{.pass = {},
                      .precision = nn::Precision::kBFloat16,
                      .steps = 2,
                      .total_seconds = 4,
                      .optimizer_seconds = 1,
                      .model_flops = 3e9,
                      .peak = {.float32 = 1e9, .bfloat16 = 4e9},
                      .threads = 2};
  const auto forward = static_cast<std::size_t>(nn::PassPart::kForward);
  profile.pass.seconds[forward] = 2;
  profile.pass.flops[forward] = 2e9;
  const formats::Json json = profile_json(profile);
  EXPECT_EQ(json["parts"]["products, forward"]["seconds"], 1.0);
  EXPECT_EQ(json["parts"]["optimizer"]["seconds"], 0.5);
  EXPECT_EQ(json["parts"]["rest"]["seconds"], 0.5);
  EXPECT_EQ(json["step_seconds"], 2.0);
  const std::string table = profile_table(profile);
  // 1 GFLOP/s of a thread's 2; the step 1.5 of 4.
  for (const char* words : {"1000.00", "50.0%", "25.0%", "37.5%", "2000.00"}) {
    EXPECT_NE(table.find(words), std::string::npos) << words << "\n" << table;
  }
}

}  // namespace
}  // namespace muonlab::train
