// The report of one case: keys beside rates, rungs, audits, single runs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "muonlab/core/text.h"
#include "muonlab/statistics/sensitivity.h"
#include "muonlab/study/audit.h"
#include "muonlab/study/document_internal.h"
#include "muonlab/study/figures.h"
#include "muonlab/study/published_internal.h"
#include "muonlab/study/search_keys_internal.h"
#include "muonlab/study/verdict.h"
#include "tests/study/sample_cases.h"

namespace muonlab::study {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::Each;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::Not;

std::vector<std::string> findings(const Results& results, Concern concern) {
  std::vector<std::string> texts;
  for (const Finding& one : audit(results, compare_to_baseline(results))) {
    if (one.concern == concern) texts.push_back(one.text);
  }
  return texts;
}

Figure figure(const Results& results, const std::string& name) {
  for (Figure& one : figures(results, compare_to_baseline(results))) {
    if (one.name == name) return one;
  }
  ADD_FAILURE() << "no figure " << name;
  return {};
}

std::vector<std::string> names(const std::vector<Figure>& all) {
  std::vector<std::string> found;
  for (const Figure& one : all) found.push_back(one.name);
  return found;
}

std::string markdown(const Results& results) {
  const ComparisonTable table = compare_to_baseline(results);
  return detail::render_markdown(
      detail::build_document(results, table, figures(results, table)));
}

TEST(SingleReport, RungsAndAuditsAreNoCandidates) {
  const Results results = testing::grid_results(true);
  for (const Arm& arm : results.arms) {
    const Cell* chosen = detail::chosen_trial(results, arm);
    ASSERT_NE(chosen, nullptr);
    EXPECT_EQ(chosen->length, 1);
    EXPECT_FALSE(chosen->audit);
  }
}

TEST(SingleReport, ABetterAuditIsUnfair) {
  const Results better = testing::grid_results(true);
  EXPECT_THAT(
      findings(better, Concern::kUnfair),
      Contains(AllOf(HasSubstr("halving discarded a better trial of muon by "
                               "0.0125 nats"),
                     HasSubstr("optim.weight_decay 0.1"))));
  EXPECT_THAT(findings(better, Concern::kNote),
              Contains(HasSubstr("muon (2 audits, the best −0.0125)")));
  const Results none = testing::grid_results(false);
  EXPECT_THAT(findings(none, Concern::kUnfair),
              Not(Contains(HasSubstr("halving"))));
  EXPECT_THAT(findings(none, Concern::kNote),
              Contains(AllOf(HasSubstr("adamw (2 audits, the best +"),
                             HasSubstr("muon (2 audits, the best +"))));
}

TEST(SingleReport, SelectionNoiseIgnoresRungsAndAudits) {
  Results results = testing::grid_results(false);
  for (Cell& cell : results.cells) {
    if (cell.length < 1 || cell.audit) cell.loss = 4.0;  // would be near
  }
  EXPECT_THAT(findings(results, Concern::kUncertain),
              Not(Contains(HasSubstr("Selection noise"))));
}

TEST(SingleReport, RungsAreDrawnApart) {
  const Results results = testing::grid_results(false);
  for (const std::string name :
       {"search-hidden", "search-optim-weight-decay"}) {
    const Figure one = figure(results, name);
    const auto spec = nlohmann::json::parse(one.spec);
    const auto& layers = spec["layer"];
    ASSERT_EQ(layers.size(), 5U) << name;
    // Full-length points: chosen line of each arm, all of them competing or
    // audits.
    std::set<double> full;
    for (const Cell& cell : results.cells) {
      if (cell.length == 1) full.insert(*cell.loss);
    }
    for (const auto& point : layers[3]["data"]["values"]) {
      EXPECT_TRUE(full.contains(point["loss"].get<double>())) << name;
    }
    EXPECT_FALSE(layers[4]["data"]["values"].empty());
    EXPECT_THAT(one.caption, HasSubstr("25.0 % of the steps"));
  }
}

TEST(SingleReport, AnAxisWithZeroIsSymlog) {
  const Results results = testing::grid_results(false);
  const auto spec =
      nlohmann::json::parse(figure(results, "search-optim-weight-decay").spec);
  const auto& x = spec["layer"][0]["encoding"]["x"];
  EXPECT_EQ(x["scale"]["type"], "symlog");
  EXPECT_EQ(x["title"], "optim.weight_decay (logarithmic, with zero)");
  EXPECT_LT(x["scale"]["domain"][0].get<double>(), 0);
  EXPECT_EQ(nlohmann::json::parse(
                figure(results, "search-hidden")
                    .spec)["layer"][0]["encoding"]["x"]["scale"]["type"],
            "log");
}

TEST(SingleReport, HeatMapsShowEveryCombination) {
  const Results results = testing::grid_results(false);
  for (const Arm& arm : results.arms) {
    const Figure one =
        figure(results, "heat-" + arm.name + "-hidden-optim-weight-decay");
    const auto spec = nlohmann::json::parse(one.spec);
    const auto& rows = spec["data"]["values"];
    ASSERT_EQ(rows.size(), 12U);
    int colored = 0;
    int crossed = 0;
    int stopped = 0;
    double best = 1e9;
    double worst = 0;
    for (const auto& row : rows) {
      if (row.contains("shown")) {
        ++colored;
        best = std::min(best, row["shown"].get<double>());
        worst = std::max(worst, row["shown"].get<double>());
      }
      crossed += row["label"] == "×" ? 1 : 0;
      stopped += row["label"] == "at 25.0 %" ? 1 : 0;
    }
    EXPECT_EQ(colored, 5);  // of 6 finished, one diverged
    EXPECT_EQ(crossed, 1);
    EXPECT_EQ(stopped, 6);
    EXPECT_LE(worst, best + 0.3 + 1e-3);  // five significant digits
    const auto& marked = spec["layer"][2]["data"]["values"];
    ASSERT_EQ(marked.size(), 1U);
    EXPECT_EQ(marked[0]["y"], "0.1");
  }
}

TEST(SingleReport, NoHeatMapWithoutAFullGrid) {
  const Results results = testing::rich_results();
  EXPECT_THAT(names(figures(results, compare_to_baseline(results))),
              Each(Not(HasSubstr("heat"))));
}

TEST(SingleReport, SearchAloneSaysSo) {
  const Results results = testing::search_only_results();
  const Verdict words = verdict(results, compare_to_baseline(results));
  EXPECT_THAT(words.sentence,
              AllOf(HasSubstr("Only single runs exist"), HasSubstr("n = 1"),
                    Not(HasSubstr("not finished")), Not(HasSubstr("p ="))));
  for (const Arm& arm : results.arms) {
    const Cell* best = detail::chosen_trial(results, arm);
    ASSERT_NE(best, nullptr);
    EXPECT_THAT(words.sentence,
                HasSubstr(arm.name + " " + core::fixed(*best->loss, 4)));
  }
  EXPECT_THAT(names(figures(results, compare_to_baseline(results))),
              ::testing::IsSupersetOf({"held-out-loss", "held-out-time",
                                       "held-out-flops", "training-loss",
                                       "search-hidden"}));
  EXPECT_THAT(findings(results, Concern::kUncertain),
              AllOf(Contains(HasSubstr("Single runs only")),
                    Not(Contains(HasSubstr("incomplete")))));
  EXPECT_THAT(markdown(results),
              AllOf(HasSubstr("best trial"), HasSubstr("diverged"),
                    Not(HasSubstr("Hedges"))));
}

TEST(SingleReport, SearchAloneUnderWayIsIncomplete) {
  Results results = testing::search_only_results();
  testing::set_queued(results.cells.front());
  EXPECT_THAT(findings(results, Concern::kUncertain),
              Contains(HasSubstr("incomplete")));
}

TEST(SingleReport, LeakComesFirst) {
  Results results = testing::rich_results();
  results.setup.split_by_windows = true;
  results.arms[2].searches.front().edge = true;
  EXPECT_THAT(findings(results, Concern::kUnfair).front(),
              HasSubstr("Leaky split: held-out windows are windows of the "
                        "training text"));
}

TEST(SingleReport, GivenRatesAreSaid) {
  Results results = testing::rich_results();
  for (Arm& arm : results.arms) arm.searched = false;
  EXPECT_THAT(findings(results, Concern::kUnfair),
              Contains(HasSubstr("they were not tuned in this study")));
  results.setup.rates_from = "w64";
  EXPECT_THAT(findings(results, Concern::kUnfair),
              Not(Contains(HasSubstr("not tuned"))));
  EXPECT_THAT(findings(results, Concern::kUncertain),
              AllOf(Contains(HasSubstr("chosen in the case w64")),
                    Not(Contains(HasSubstr("tuned on a single seed")))));
}

TEST(SingleReport, OneValueHasNoEdge) {
  Results results = testing::rich_results();
  RateSearch& search = results.arms[2].searches.back();
  search.edge = true;
  EXPECT_THAT(findings(results, Concern::kUnfair),
              Contains(HasSubstr("Edge optimum: the best auxiliary rate of "
                                 "muon")));
  search.grid = {search.best};
  search.added.clear();
  EXPECT_THAT(findings(results, Concern::kUnfair),
              Not(Contains(HasSubstr("Edge optimum"))));
  EXPECT_THAT(findings(results, Concern::kUncertain),
              Contains(HasSubstr("one value only: the auxiliary rate of muon "
                                 "(0.004)")));
}

TEST(SingleReport, SensitivityIsThatOfTheStatistics) {
  const Results results = testing::rich_results();
  const Arm& joint = results.arms.front();
  const auto shape = detail::rate_shape(results, joint, "joint");
  ASSERT_TRUE(shape);
  std::vector<double> rates;
  std::vector<double> losses;
  for (const Cell& cell : results.cells) {
    if (cell.arm != joint.name || cell.phase != "search") continue;
    rates.push_back(cell.hidden_lr);
    losses.push_back(cell.state == "done" ? *cell.loss : HUGE_VAL);
  }
  ASSERT_EQ(rates.size(), 7U);
  const auto expected =
      statistics::rate_sensitivity(rates, losses, testing::kInitialLoss);
  EXPECT_EQ(shape->sensitivity.value, expected.value);
  EXPECT_EQ(
      shape->basin.octaves,
      statistics::rate_basin(rates, losses, testing::kInitialLoss).octaves);
  EXPECT_THAT(markdown(results), HasSubstr(core::fixed(expected.value, 4)));
}

TEST(SingleReport, CurvesAgainstTimeAndFlopsAreTheTokensScaled) {
  const Results results = testing::rich_results();
  const auto rows = [&](const std::string& name) {
    return nlohmann::json::parse(
        figure(results, name).spec)["layer"][1]["data"]["values"];
  };
  const auto tokens = rows("held-out-loss");
  const auto flops = rows("held-out-flops");
  const auto seconds = rows("held-out-time");
  ASSERT_EQ(tokens.size(), flops.size());
  ASSERT_EQ(tokens.size(), seconds.size());
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const double expected =
        tokens[i]["tokens"].get<double>() * results.setup.flops_per_token;
    EXPECT_NEAR(flops[i]["flops"].get<double>() / expected, 1, 1e-4);
    const double slow = tokens[i]["arm"] == "adamw" ? 1 : 1.08;
    EXPECT_NEAR(seconds[i]["seconds"].get<double>() /
                    (0.1 * slow * tokens[i]["tokens"].get<double>() / 2048),
                1, 1e-4);
    EXPECT_EQ(tokens[i]["loss"], flops[i]["loss"]);
  }
  EXPECT_THAT(figure(results, "held-out-flops").caption,
              HasSubstr("optimizer's own FLOPs are not in it"));
}

TEST(PublishedOne, LateTrainLossIsThatOfStep551Of600) {
  Cell cell;
  for (std::int64_t step = 1; step <= 600; ++step) {
    cell.train.push_back({step, step, static_cast<double>(step)});
  }
  EXPECT_EQ(detail::late_train_loss(cell, 600), 551);
  EXPECT_EQ(detail::late_train_loss(cell, 60), 56);
  cell.train.clear();
  EXPECT_FALSE(detail::late_train_loss(cell, 600));
}

TEST(PublishedOne, RunsStandBesideThePublished) {
  const Results results = testing::published_one_results();
  std::map<std::string, int> found;
  for (const Arm& arm : results.arms) {
    const auto runs = detail::rate_runs(results, arm.name);
    for (const Cell* cell : runs) {
      const PublishedRate* row = detail::counterpart(*cell, arm, runs);
      ASSERT_NE(row, nullptr);
      const double factor = arm.name == "adamw-width" ? 4 : 1;
      EXPECT_NEAR(cell->hidden_lr / row->rate, factor, 1e-9);
      ++found[arm.name];
    }
  }
  EXPECT_EQ(found["adamw"], 7);
  EXPECT_EQ(found["adamw-width"], 7);
  EXPECT_EQ(found["muon"], 8);
}

TEST(PublishedOne, FiguresAndConclusions) {
  const Results results = testing::published_one_results();
  const Figure rates = figure(results, "published-rates");
  ASSERT_EQ(rates.panels.size(), 4U);
  EXPECT_EQ(
      nlohmann::json::parse(rates.panels[1].spec)["data"]["values"].size(),
      22U);
  EXPECT_EQ(figure(results, "published-curves").panels.size(), 3U);
  EXPECT_THAT(figure(results, "published-stability").caption,
              HasSubstr("carries no information"));
  for (const char* name :
       {"published-rates", "published-curves", "published-stability"}) {
    EXPECT_THAT(figure(results, name).caption,
                HasSubstr("As the study computed it"));
  }
  const std::string text = markdown(results);
  EXPECT_THAT(text, AllOf(HasSubstr("As the published study computed it"),
                          HasSubstr("adamw 1000.0x; adamw-width 1000.0x; muon "
                                    "50.0x"),
                          HasSubstr("muon (adamw 7 of 7; adamw-width 7 of 7; "
                                    "muon 8 of 8)"),
                          HasSubstr("n = 1"), HasSubstr("octaves")));
}

TEST(PublishedOne, AFailureIsInformation) {
  Results results = testing::published_one_results();
  results.cells.back().state = "diverged";
  EXPECT_THAT(figure(results, "published-stability").caption,
              Not(HasSubstr("carries no information")));
  // Seven runs each that did not fail.
  EXPECT_THAT(markdown(results),
              AllOf(HasSubstr("muon 30.0x"),
                    HasSubstr("adamw and adamw-width and muon (adamw 7 of 7")));
}

}  // namespace
}  // namespace muonlab::study
