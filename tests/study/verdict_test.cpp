// What the comparison, the verdict and the audit say in each situation.
#include "muonlab/study/verdict.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "muonlab/core/error.h"
#include "muonlab/statistics/holm.h"
#include "muonlab/statistics/sample.h"
#include "muonlab/study/audit.h"
#include "tests/study/sample_results.h"

namespace muonlab::study {
namespace {

using ::testing::AllOf;
using testing::final_cell;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::sample_results;
using testing::set_final_losses;
using ::testing::StartsWith;

Verdict verdict_of(const Results& results) {
  return verdict(results, compare_to_baseline(results));
}

std::string remarks_of(const Results& results) {
  std::string text;
  for (const std::string& remark : verdict_of(results).remarks) {
    text += remark + "\n";
  }
  return text;
}

std::string audit_of(const Results& results) {
  std::string text;
  for (const Finding& finding : audit(results, compare_to_baseline(results))) {
    text += std::string(name_of(finding.concern)) + ": " + finding.text + "\n";
  }
  return text;
}

const Comparison& comparison_of(const ComparisonTable& table,
                                const std::string& arm) {
  for (const Comparison& comparison : table.comparisons) {
    if (comparison.arm == arm) return comparison;
  }
  throw Error(ErrorKind::kInternal, "no comparison of " + arm);
}

// Losses without the seeds' common part: `offset` plus a pattern that differs
// from seed to seed.
double patterned(double offset, std::uint64_t seed) {
  return offset + 0.004 * std::sin(2.1 * static_cast<double>(seed));
}

void keep_final_seeds(Results& results, std::size_t count) {
  results.setup.final_seeds.resize(count);
  std::erase_if(results.cells, [&](const Cell& cell) {
    return cell.phase == "final" && cell.seed > count;
  });
}

TEST(Comparison, PairsBySeedWithSignArmMinusBaseline) {
  Results results = sample_results();
  set_final_losses(results, "adamw", [](std::uint64_t) { return 4.5; });
  set_final_losses(results, "muon", [](std::uint64_t seed) {
    return 4.5 - 0.25 * static_cast<double>(seed);
  });
  const ComparisonTable table = compare_to_baseline(results);
  const Comparison& muon = comparison_of(table, "muon");
  EXPECT_EQ(muon.seeds, (std::vector<std::uint64_t>{1, 2, 3, 4, 5}));
  EXPECT_EQ(muon.differences,
            (std::vector<double>{-0.25, -0.5, -0.75, -1.0, -1.25}));
  EXPECT_DOUBLE_EQ(*muon.difference, -0.75);
  EXPECT_EQ(*muon.p_sign_flip, 0.0625);
  EXPECT_EQ(*muon.sign_flip_floor, 0.0625);
  EXPECT_LT(*muon.hedges_g, 0);
  EXPECT_TRUE(table.complete);
}

TEST(Comparison, AdjustsOverAllArms) {
  const ComparisonTable table = compare_to_baseline(sample_results());
  std::vector<double> p_values;
  for (const Comparison& c : table.comparisons) p_values.push_back(*c.test->p);
  const std::vector<double> expected = statistics::holm(p_values);
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ(*table.comparisons[i].p_holm, expected[i]);
    EXPECT_GT(*table.comparisons[i].p_holm, p_values[i]);
  }
}

TEST(Comparison, UsesCommonSeedsAndSaysSo) {
  Results results = sample_results();
  Cell& cell = final_cell(results, "muon", 3);
  cell.state = "failed";
  cell.loss.reset();
  const ComparisonTable table = compare_to_baseline(results);
  const Comparison& muon = comparison_of(table, "muon");
  EXPECT_EQ(muon.seeds, (std::vector<std::uint64_t>{1, 2, 4, 5}));
  ASSERT_EQ(muon.warnings.size(), 1U);
  EXPECT_THAT(muon.warnings[0], HasSubstr("only 4 of 5 planned seeds"));
  EXPECT_EQ(comparison_of(table, "muonw").n(), 5U);
  EXPECT_FALSE(table.complete);
  EXPECT_THAT(audit_of(results), HasSubstr("Runs failed (1 in the final of "
                                           "muon)"));
  // n differs between comparisons, so each says its own.
  EXPECT_THAT(verdict_of(results).sentence,
              AllOf(HasSubstr("over 4 seeds"), HasSubstr("over 5 seeds")));
}

TEST(Comparison, CountsDivergedRunsAtInitialisation) {
  Results results = sample_results();
  Cell& cell = final_cell(results, "muonw", 2);
  cell.state = "diverged";
  cell.loss.reset();
  const ComparisonTable table = compare_to_baseline(results);
  EXPECT_EQ(table.arms[3].losses[1], testing::kInitialLoss);
  EXPECT_EQ(table.arms[3].diverged, 1);
  EXPECT_FALSE(table.arms[3].mean_bits_per_byte);
  EXPECT_THAT(remarks_of(results), HasSubstr("of muonw diverged"));
  EXPECT_THAT(verdict_of(results).sentence,
              HasSubstr("muonw cannot be told apart from adamw"));
  EXPECT_THAT(audit_of(results), HasSubstr("1 in the final of muonw"));
}

TEST(Comparison, RefusesWhatCannotBeCompared) {
  Results no_baseline = sample_results();
  no_baseline.setup.baseline = "adam";
  EXPECT_THROW((void)compare_to_baseline(no_baseline), Error);
  Results twice = sample_results();
  twice.cells.push_back(final_cell(twice, "muon", 1));
  EXPECT_THROW((void)compare_to_baseline(twice), Error);
  Results nan = sample_results();
  final_cell(nan, "muon", 1).loss = std::nan("");
  EXPECT_THROW((void)compare_to_baseline(nan), Error);
  Results same = sample_results();
  same.arms.push_back(same.arms.front());
  EXPECT_THROW((void)compare_to_baseline(same), Error);
}

TEST(Verdict, NamesWhoIsAheadAndWhoIsBehind) {
  const Verdict result = verdict_of(sample_results());
  EXPECT_THAT(
      result.sentence,
      AllOf(StartsWith("After the same 491,520 tokens, muonw is ahead "
                       "of adamw by 0.0"),
            HasSubstr("; muon is ahead of adamw by 0.0"),
            HasSubstr("; adamw-joint is behind adamw by 0.0"),
            HasSubstr("nats per token"), HasSubstr("95 % interval 0.0"),
            HasSubstr("paired t over 5 seeds"), HasSubstr("Holm-adjusted p = "),
            Not(HasSubstr("told apart"))));
  EXPECT_THAT(remarks_of(sample_results()),
              AllOf(HasSubstr("lowest mean loss"), HasSubstr("that of muonw"),
                    HasSubstr("not tested against each other")));
}

TEST(Verdict, SaysWhenTheBaselineIsBest) {
  Results results = sample_results();
  for (const std::string arm : {"muon", "muonw", "adamw-joint"}) {
    set_final_losses(results, arm, [&](std::uint64_t seed) {
      return *final_cell(results, "adamw", seed).loss + patterned(0.05, seed);
    });
  }
  EXPECT_THAT(verdict_of(results).sentence,
              AllOf(HasSubstr("the baseline adamw is ahead of every other arm"),
                    HasSubstr("muon is behind adamw by 0.05"),
                    Not(HasSubstr("is ahead of adamw"))));
  EXPECT_THAT(remarks_of(results), HasSubstr("that of adamw."));
}

TEST(Verdict, SaysWhenNothingIsDistinguishable) {
  Results results = sample_results();
  for (const std::string arm : {"muon", "muonw", "adamw-joint"}) {
    set_final_losses(results, arm, [&](std::uint64_t seed) {
      return *final_cell(results, "adamw", seed).loss +
             (seed % 2 == 0 ? 0.02 : -0.015);
    });
  }
  const Verdict result = verdict_of(results);
  EXPECT_THAT(result.sentence,
              AllOf(HasSubstr("no arm can be told apart from adamw"),
                    HasSubstr("muon cannot be told apart from adamw"),
                    HasSubstr(" to +0.0"), Not(HasSubstr("ahead"))));
  EXPECT_THAT(remarks_of(results), HasSubstr("not evidence that"));
}

TEST(Verdict, SaysWhenOnlyTheUnadjustedIntervalLeavesOutZero) {
  Results results = sample_results();
  const auto near = [&](std::uint64_t seed) {
    return *final_cell(results, "adamw", seed).loss - 0.004 +
           0.0036 * std::cos(1.7 * static_cast<double>(seed));
  };
  for (const std::string arm : {"muon", "muonw", "adamw-joint"}) {
    set_final_losses(results, arm, near);
  }
  const ComparisonTable table = compare_to_baseline(results);
  ASSERT_LT(*comparison_of(table, "muon").test->p, statistics::kAlpha);
  ASSERT_GT(*comparison_of(table, "muon").p_holm, statistics::kAlpha);
  EXPECT_THAT(
      verdict_of(results).sentence,
      AllOf(HasSubstr("cannot be told apart"), HasSubstr("leaves out zero")));
}

TEST(Verdict, ClaimsNothingWithTwoSeeds) {
  Results results = sample_results();
  keep_final_seeds(results, 2);
  EXPECT_THAT(verdict_of(results).sentence,
              AllOf(HasSubstr("2 common seeds: too few"), Not(HasSubstr("p =")),
                    Not(HasSubstr("ahead")),
                    Not(HasSubstr("interval "
                                  "0"))));
  EXPECT_THAT(audit_of(results),
              HasSubstr("With n = 2 there is neither an interval nor a p"));
}

TEST(Verdict, HandlesEqualRunsWithoutATest) {
  Results results = sample_results();
  set_final_losses(results, "muon", [&](std::uint64_t seed) {
    return *final_cell(results, "adamw", seed).loss;
  });
  set_final_losses(results, "muonw", [&](std::uint64_t seed) {
    return *final_cell(results, "adamw", seed).loss - 0.25;
  });
  EXPECT_THAT(verdict_of(results).sentence,
              AllOf(HasSubstr("muon has exactly the loss of adamw"),
                    HasSubstr("muonw differs from adamw by the same amount"),
                    Not(HasSubstr("nan"))));
}

TEST(Verdict, WaitsForTheFinalRuns) {
  Results results = sample_results();
  for (Cell& cell : results.cells) {
    if (cell.phase == "search") continue;
    cell.state = "queued";
    cell.loss.reset();
  }
  EXPECT_THAT(verdict_of(results).sentence,
              AllOf(HasSubstr("not finished (28 of 52 runs have ended)"),
                    Not(HasSubstr("ahead of"))));
  EXPECT_THAT(audit_of(results), HasSubstr("The study is incomplete"));
}

TEST(Verdict, MarksAPartialStudy) {
  Results results = sample_results();
  Cell& cell = final_cell(results, "muonw", 5);
  cell.state = "running";
  cell.loss.reset();
  EXPECT_THAT(verdict_of(results).sentence,
              StartsWith("This study is not finished; so far: After the same"));
}

TEST(Verdict, HandlesASingleArm) {
  Results results = sample_results();
  std::erase_if(results.arms,
                [](const Arm& arm) { return arm.name != "adamw"; });
  std::erase_if(results.cells,
                [](const Cell& cell) { return cell.arm != "adamw"; });
  EXPECT_THAT(verdict_of(results).sentence, HasSubstr("it is the only arm"));
}

TEST(Audit, ReportsWhatHoldsForTheSample) {
  EXPECT_THAT(
      audit_of(sample_results()),
      AllOf(HasSubstr("cannot go below p = 0.0625"),
            HasSubstr("single seed (0)"),
            HasSubstr("131,072 held-out tokens, fewer than the 500,000"),
            HasSubstr("One model size (1,311,872 parameters)"),
            HasSubstr("weight decay, momentum and betas, warm-up and batch"),
            HasSubstr("one timing run per arm"), HasSubstr("fresh seeds (1–5)"),
            Not(HasSubstr("Edge optimum")), Not(HasSubstr("unequal")),
            Not(HasSubstr("epochs")), Not(HasSubstr("incomplete")),
            Not(HasSubstr("Runs failed"))));
}

TEST(Audit, FlagsEdgesAndUnequalTrialsFirst) {
  Results results = sample_results();
  results.arms[2].searches[0].edge = true;
  results.arms[0].trials = 5;
  const std::string text = audit_of(results);
  EXPECT_THAT(text, AllOf(StartsWith("unfair: Edge optimum: the best hidden "
                                     "rate of muon, 0.01,"),
                          HasSubstr("unfair: Arms had unequal numbers"),
                          HasSubstr("adamw-joint 5 for 1 rate")));
}

TEST(Audit, FlagsSelectionBiasAndEpochs) {
  Results results = sample_results();
  results.setup.search_seeds = {0, 3};
  results.setup.train_tokens = 200'000;
  EXPECT_THAT(audit_of(results),
              AllOf(HasSubstr("unfair: Selection bias"), HasSubstr("seed 3"),
                    HasSubstr("2.46 epochs"), Not(HasSubstr("single seed")),
                    Not(HasSubstr("does not flatter"))));
}

TEST(Audit, SaysWhatHolmLeavesToTheSignFlipTest) {
  Results results = sample_results();
  // Six seeds reach .03125, three comparisons multiply it.
  results.setup.final_seeds.push_back(6);
  const Results copy = results;
  for (const Cell& cell : copy.cells) {
    if (cell.phase != "final" || cell.seed != 5) continue;
    Cell sixth = cell;
    sixth.seed = 6;
    sixth.loss = *cell.loss + 0.001;
    results.cells.push_back(sixth);
  }
  EXPECT_THAT(audit_of(results),
              HasSubstr("cannot go below p = 0.0312, or 0.0938 after Holm"));
}

}  // namespace
}  // namespace muonlab::study
