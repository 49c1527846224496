#include "muonlab/study/parallel.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "tests/support/expect_error.h"
#include "tests/support/temporary_folder.h"

namespace muonlab::study {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// One thread per run on two cores, then one run on both.
std::vector<FormSpeed> speeds(double side_by_side, double one_by_one) {
  return {{{2, 1}, side_by_side}, {{1, 2}, one_by_one}};
}

TEST(Forms, GoFromOneThreadPerRunToOneRunOnAllCores) {
  EXPECT_THAT(forms_of(1), ElementsAre(Form{1, 1}));
  EXPECT_THAT(forms_of(2), ElementsAre(Form{2, 1}, Form{1, 2}));
  EXPECT_THAT(forms_of(8),
              ElementsAre(Form{8, 1}, Form{4, 2}, Form{2, 4}, Form{1, 8}));
  EXPECT_THAT(forms_of(6), ElementsAre(Form{6, 1}, Form{3, 2}, Form{1, 6}));
}

TEST(Forms, OneThreadPerRunIsLeftForAClearLeadOnly) {
  EXPECT_EQ(choose_form(speeds(1000, 900), "m").form, (Form{2, 1}));
  EXPECT_EQ(choose_form(speeds(1000, 1049), "m").form, (Form{2, 1}));
  EXPECT_EQ(choose_form(speeds(1000, 1051), "m").form, (Form{1, 2}));
}

TEST(Forms, TheReasonNamesTheLead) {
  EXPECT_THAT(choose_form(speeds(1000, 1250), "m").reason,
              HasSubstr("25 % more tokens per second than 2 runs side by side, "
                        "1 thread each"));
  EXPECT_THAT(choose_form(speeds(1000, 800), "m").reason,
              HasSubstr("makes 80 % of its tokens"));
}

TEST(Forms, TheFastestOfSeveralIsTaken) {
  EXPECT_EQ(
      choose_form({{{4, 1}, 100}, {{2, 2}, 130}, {{1, 4}, 120}}, "m").form,
      (Form{2, 2}));
}

StudyPlan quick(const std::vector<std::string>& overrides = {}) {
  return read_plan(
      std::filesystem::path(MUONLAB_SOURCE) / "configs" / "quick.toml",
      overrides);
}

TEST(PlannedForms, AreNumbersOrLeftToMeasurement) {
  EXPECT_EQ(quick().jobs, std::nullopt);
  EXPECT_EQ(quick().threads, std::nullopt);
  const StudyPlan plan = quick({"study.jobs=3", "study.threads=4"});
  EXPECT_EQ(plan.jobs, 3);
  EXPECT_EQ(plan.threads, 4);
  EXPECT_EQ(quick({"study.jobs=3", "study.jobs=auto"}).jobs, std::nullopt);
}

TEST(PlannedForms, AreRefusedByNameWithWhatIsExpected) {
  for (const char* value : {"0", "-1", "fast", "2.5", "[1]", "true"}) {
    for (const std::string key : {"study.jobs", "study.threads"}) {
      SCOPED_TRACE(key + "=" + value);
      testing::expect_error(
          ErrorKind::kInvalidArgument,
          {"'" + key + "'", value, "\"auto\" or a whole number from 1"},
          [&] { (void)quick({key + "=" + value}); });
    }
  }
}

TEST(PlannedForms, CellsHaveTheThreadsThatWereSettled) {
  StudyPlan plan = quick();
  for (const std::int64_t threads : {1, 3}) {
    if (threads > 1) plan.threads = threads;
    for (const char* phase : {"search", "final", "timing"}) {
      const auto cell = cell_config(plan, plan.arms[0], phase, 0, {2e-3, 8e-3});
      EXPECT_EQ(cell.threads, threads) << phase;
    }
  }
}

// A plan that leaves jobs and threads open, a record, speeds made up.
class SettleTest : public ::testing::Test {
 protected:
  Parallel settle(std::vector<FormSpeed> measured, std::int64_t cores = 2,
                  bool execute = true) {
    said_.clear();
    return settle_parallel(
        plan_,
        {.file = file_,
         .cores = cores,
         .machine = "a machine",
         .execute = execute,
         .measure =
             [&](const std::vector<Form>&) {
               ++measurements_;
               return measured;
             },
         .say = [&](const std::string& line) { said_.push_back(line); }});
  }

  // A study that goes on later: what it left open is open again.
  void forget_plan() { plan_ = {}; }

  testing::TemporaryFolder folder_;
  std::filesystem::path file_ = folder_ / "parallel.json";
  StudyPlan plan_;
  std::vector<std::string> said_;
  int measurements_ = 0;
};

TEST_F(SettleTest, MeasuresOnceAndKeepsTheChoice) {
  const Parallel first = settle(speeds(1000, 1500));
  EXPECT_EQ(first.form, (Form{1, 2}));
  EXPECT_EQ(plan_.jobs, 1);
  EXPECT_EQ(plan_.threads, 2);
  EXPECT_THAT(said_, Contains(HasSubstr("measured 2 runs side by side, 1 "
                                        "thread each: 1,000 tokens/s")));
  EXPECT_THAT(said_, Contains(HasSubstr("measured one run at a time, 2 threads "
                                        "each: 1,500 tokens/s")));
  forget_plan();
  // Now it would choose otherwise.
  const Parallel second = settle(speeds(1500, 1000));
  EXPECT_EQ(measurements_, 1);
  EXPECT_EQ(second.form, first.form);
  EXPECT_EQ(second.reason, first.reason);
  EXPECT_EQ(second.machine, "a machine");
  ASSERT_EQ(second.measured.size(), 2U);
  EXPECT_EQ(second.measured[1].tokens_per_second, 1500);
  EXPECT_EQ(plan_.threads, 2);
  EXPECT_THAT(said_,
              ElementsAre(HasSubstr("as recorded in " + file_.string())));
}

TEST_F(SettleTest, AReportNeitherMeasuresNorWrites) {
  const Parallel parallel = settle({}, 4, /*execute=*/false);
  EXPECT_EQ(parallel.form, (Form{4, 1}));
  EXPECT_THAT(parallel.reason, HasSubstr("not chosen yet"));
  EXPECT_EQ(measurements_, 0);
  EXPECT_THAT(said_, IsEmpty());
  EXPECT_FALSE(std::filesystem::exists(file_));
}

TEST_F(SettleTest, NumbersInThePlanNeedNoMeasurementAndAreKeptToo) {
  plan_.jobs = 2;
  EXPECT_EQ(settle({}, 8).form, (Form{2, 4}));
  EXPECT_EQ(measurements_, 0);
  // Fewer cores later: the same threads, hence the same bits.
  forget_plan();
  plan_.jobs = 2;
  EXPECT_EQ(settle({}, 2).form, (Form{2, 4}));
  EXPECT_THAT(said_, Contains(HasSubstr("warning: this machine has 2 cores")));
}

TEST_F(SettleTest, JobsOfThePlanGoBeforeTheRecordAndLeaveItsThreads) {
  (void)settle(speeds(1000, 1500));
  forget_plan();
  plan_.jobs = 2;
  EXPECT_EQ(settle({}, 4).form, (Form{2, 2}));
  forget_plan();
  EXPECT_EQ(settle({}, 4).form, (Form{1, 2})) << "the record has changed";
}

TEST_F(SettleTest, ThreadsOfThePlanGoBeforeTheRecord) {
  (void)settle(speeds(1000, 1500));
  forget_plan();
  plan_.threads = 1;
  EXPECT_EQ(settle({}, 2).form, (Form{2, 1}));
  forget_plan();
  EXPECT_EQ(settle({}, 2).form, (Form{2, 1})) << "the record has not changed";
  plan_ = {};
  plan_.jobs = 1;
  plan_.threads = 3;
  EXPECT_EQ(settle({}, 2).form, (Form{1, 3}));
}

TEST_F(SettleTest, OneCoreIsNotMeasured) {
  EXPECT_EQ(settle({}, 1).form, (Form{1, 1}));
  EXPECT_EQ(measurements_, 0);
  EXPECT_TRUE(std::filesystem::exists(file_));
}

TEST_F(SettleTest, WhatCouldNotBeMeasuredIsNotKept) {
  EXPECT_EQ(settle({}, 2).form, (Form{2, 1}));
  EXPECT_EQ(measurements_, 1);
  EXPECT_FALSE(std::filesystem::exists(file_));
}

TEST_F(SettleTest, ADamagedRecordIsNamedWithItsRemedy) {
  for (const char* text :
       {"{", "[]", "{\"schema\": \"muonlab-study-parallel-1\"}",
        "{\"schema\": \"muonlab-study-parallel-1\", \"jobs\": 0, \"threads\": "
        "1, \"reason\": \"\", \"machine\": \"\", \"measured\": []}"}) {
    SCOPED_TRACE(text);
    testing::write(file_, text);
    testing::expect_error(ErrorKind::kCorruptData, {file_.string()},
                          [&] { (void)settle(speeds(1, 2)); });
  }
}

}  // namespace
}  // namespace muonlab::study
