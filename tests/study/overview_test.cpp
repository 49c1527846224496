// The overview of a study with cases: its numbers are those of the statistics
// layer.
#include "muonlab/study/overview.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>

#include "muonlab/core/error.h"
#include "muonlab/core/files.h"
#include "muonlab/core/text.h"
#include "muonlab/statistics/curves.h"
#include "muonlab/statistics/scaling.h"
#include "muonlab/statistics/speedup.h"
#include "muonlab/statistics/t_tests.h"
#include "muonlab/study/published.h"
#include "muonlab/study/published_internal.h"
#include "muonlab/study/wording_internal.h"
#include "tests/study/sample_cases.h"

namespace muonlab::study {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class OverviewFiles : public ::testing::Test {
 protected:
  OverviewFiles()
      : folder_(
            std::filesystem::temp_directory_path() /
            ("muonlab-overview-" + std::to_string(std::random_device()()))) {
    core::make_folder(folder_);
    core::write_file(folder_ / "bundle.js", "window.vegaEmbed = 0;");
  }
  ~OverviewFiles() override {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  ReportFiles write(const StudyResults& results) {
    return write_overview(results, folder_ / "out", folder_ / "bundle.js");
  }
  std::string markdown(const StudyResults& results) {
    return core::read_file(write(results).markdown);
  }

  std::filesystem::path folder_;
};

std::vector<double> losses(const Results& results, const std::string& arm,
                           const std::string& phase, double length) {
  std::vector<double> all;
  for (const Cell& cell : results.cells) {
    if (cell.arm == arm && cell.phase == phase && cell.length == length) {
      all.push_back(*cell.loss);
    }
  }
  return all;
}

nlohmann::json spec_of(const ReportFiles& files, const std::string& name) {
  for (const auto& path : files.plots) {
    if (path.filename() == name + ".vl.json") {
      return nlohmann::json::parse(core::read_file(path));
    }
  }
  ADD_FAILURE() << "no plot " << name;
  return {};
}

TEST_F(OverviewFiles, DifferencesAreThoseOfThePairedTest) {
  const StudyResults study = testing::sample_sizes();
  const ReportFiles files = write(study);
  const std::string text = core::read_file(files.markdown);
  const auto spec = spec_of(files, "differences-by-case");
  const auto& means = spec["layer"][3]["data"]["values"];
  ASSERT_EQ(means.size(), study.cases.size());
  for (std::size_t i = 0; i < study.cases.size(); ++i) {
    const Results& one = study.cases[i];
    const auto test = statistics::paired_t_test(
        losses(one, "muon", "final", 1), losses(one, "adamw", "final", 1));
    EXPECT_EQ(means[i]["case"], one.setup.case_name);
    EXPECT_EQ(means[i]["difference"].get<double>(), test.difference);
    EXPECT_EQ(means[i]["low"].get<double>(), test.interval->low);
    EXPECT_EQ(means[i]["high"].get<double>(), test.interval->high);
    // One comparison in the case: Holm changes nothing.
    EXPECT_THAT(text, HasSubstr(detail::signed_text(test.difference) + " | " +
                                detail::interval_text(*test.interval) + " | " +
                                detail::p_text(test.p) + " | " +
                                detail::p_text(test.p) + " |"));
  }
}

TEST_F(OverviewFiles, LinksLeadToTheCases) {
  const StudyResults study = testing::sample_sizes();
  const ReportFiles files = write(study);
  for (const Results& one : study.cases) {
    const std::string& name = one.setup.case_name;
    EXPECT_THAT(core::read_file(files.markdown),
                HasSubstr("[" + name + "](" + name + "/report.html)"));
    EXPECT_THAT(core::read_file(files.html),
                HasSubstr("<a href=\"" + name + "/report.html\">" + name));
  }
}

TEST_F(OverviewFiles, SpeedupIsThatOfTheStatistics) {
  const StudyResults study = testing::sample_sizes();
  const ReportFiles files = write(study);
  const std::string text = core::read_file(files.markdown);
  const auto rows =
      spec_of(files, "data-speedup")["layer"][3]["data"]["values"];
  ASSERT_EQ(rows.size(), study.cases.size());
  for (std::size_t i = 0; i < study.cases.size(); ++i) {
    const Results& one = study.cases[i];
    const double tokens = 491'520;
    std::vector<statistics::HorizonRuns> reference;
    for (const double length : {0.25, 0.5, 0.75}) {
      reference.push_back(
          {length * tokens, losses(one, "adamw", "horizon", length)});
    }
    reference.push_back({tokens, losses(one, "adamw", "final", 1)});
    const std::vector<statistics::HorizonRuns> arm = {
        {tokens, losses(one, "muon", "final", 1)}};
    const auto expected = statistics::data_speedup(reference, arm).front();
    ASSERT_TRUE(expected.speedup && expected.bootstrap);
    EXPECT_EQ(expected.method, statistics::SpeedupMethod::kPowerLaw);
    EXPECT_GT(*expected.speedup, 1);
    const auto& interval = expected.bootstrap->bca
                               ? expected.bootstrap->bca
                               : expected.bootstrap->percentile;
    EXPECT_THAT(text, HasSubstr(core::fixed(*expected.speedup, 3) + " | " +
                                core::fixed(interval->low, 3) + " to " +
                                core::fixed(interval->high, 3)));
    EXPECT_NEAR(rows[i]["speedup"].get<double>() / *expected.speedup, 1, 1e-4);
  }
}

TEST_F(OverviewFiles, FewerThanFourLengthsAreInterpolated) {
  StudyResults study = testing::sample_sizes();
  for (Results& one : study.cases) {
    std::erase_if(one.cells, [](const Cell& cell) {
      return cell.phase == "horizon" && cell.length == 0.5;
    });
  }
  const ReportFiles files = write(study);
  EXPECT_THAT(core::read_file(files.markdown),
              AllOf(HasSubstr("interpolated: fewer than four lengths"),
                    Not(HasSubstr("| power law |"))));
}

TEST_F(OverviewFiles, ABaselineThatDoesNotFallIsSaid) {
  StudyResults study = testing::sample_sizes();
  for (Cell& cell : study.cases.front().cells) {
    if (cell.phase == "horizon") cell.loss = 1.0;
  }
  EXPECT_THAT(markdown(study), HasSubstr("fall"));
}

TEST_F(OverviewFiles, ScalingIsThatOfTheStatistics) {
  const StudyResults study = testing::sample_sizes();
  const std::string text = markdown(study);
  std::vector<double> sizes;
  std::vector<double> differences;
  for (const std::string arm : {"adamw", "muon"}) {
    std::vector<statistics::SizeRuns> runs;
    for (const Results& one : study.cases) {
      runs.push_back({static_cast<double>(one.setup.parameters),
                      losses(one, arm, "final", 1)});
    }
    const auto fit = statistics::scaling_fit(runs);
    ASSERT_TRUE(fit);
    EXPECT_THAT(text, HasSubstr(detail::loss_text(fit->law.floor) + " | " +
                                detail::significant(fit->law.amplitude, 4) +
                                " | " + core::fixed(fit->law.exponent, 3)));
  }
  std::vector<std::vector<statistics::SizeRuns>> both;
  for (const std::string arm : {"muon", "adamw"}) {
    auto& runs = both.emplace_back();
    for (const Results& one : study.cases) {
      runs.push_back({static_cast<double>(one.setup.parameters),
                      losses(one, arm, "final", 1)});
    }
  }
  const auto exponents = statistics::exponent_difference(both[0], both[1]);
  ASSERT_TRUE(exponents && exponents->percentile);
  const auto& interval =
      exponents->bca ? *exponents->bca : *exponents->percentile;
  EXPECT_THAT(text, HasSubstr(core::fixed(interval.low, 3) + " to " +
                              core::fixed(interval.high, 3)));
  for (const Results& one : study.cases) {
    sizes.push_back(static_cast<double>(one.setup.parameters));
    differences.push_back(
        statistics::paired_t_test(losses(one, "muon", "final", 1),
                                  losses(one, "adamw", "final", 1))
            .difference);
  }
  const auto trend = statistics::trend_against_log(sizes, differences);
  EXPECT_THAT(text,
              HasSubstr(detail::signed_text(std::log(2.0) * trend.slope)));
}

TEST_F(OverviewFiles, ThreeSizesAreATrend) {
  StudyResults study = testing::sample_sizes();
  study.cases.pop_back();
  EXPECT_THAT(markdown(study), AllOf(HasSubstr("trend at best, no scaling law"),
                                     Not(HasSubstr("L\\(N"))));
}

TEST_F(OverviewFiles, StepsToTheBaselinesLoss) {
  const StudyResults study = testing::sample_sizes();
  const detail::Overview overview = detail::view_of(study);
  const auto target = detail::target_steps(overview.cases[1], "muon");
  ASSERT_TRUE(target && target->steps);
  std::vector<double> steps;
  std::vector<std::vector<double>> curves;
  double last = 0;
  for (const Cell& cell : study.cases[1].cells) {
    if (cell.phase != "final") continue;
    if (cell.arm == "adamw") last += cell.held_out.back().loss / 5;
    if (cell.arm != "muon") continue;
    steps.clear();
    curves.emplace_back();
    for (const CurvePoint& point : cell.held_out) {
      steps.push_back(static_cast<double>(point.step));
      curves.back().push_back(point.loss);
    }
  }
  EXPECT_NEAR(target->loss, last, 1e-12);
  EXPECT_EQ(target->steps,
            statistics::steps_to_target(steps, curves, target->loss));
  EXPECT_LT(*target->steps, 240);
  EXPECT_EQ(target->baseline_steps, 240);
}

TEST_F(OverviewFiles, ALadderIsATableOfWhatEachChangeDoes) {
  const std::string text = markdown(testing::sample_ladder());
  EXPECT_THAT(text, AllOf(HasSubstr("What each change does"),
                          HasSubstr("model.positions = \"rope\""),
                          Not(HasSubstr("What changes with size")),
                          Not(HasSubstr("Data speed-up"))));
  EXPECT_THAT(text, AllOf(HasSubstr("as-coded and positions: Leaky split"),
                          Not(HasSubstr("All cases: Leaky split"))));
  EXPECT_THAT(markdown(testing::sample_sizes()),
              Not(HasSubstr("What each change does")));
}

TEST_F(OverviewFiles, VerdictNamesTheCases) {
  const std::string text = markdown(testing::sample_sizes());
  EXPECT_THAT(text, HasSubstr("muon is ahead of adamw in all 4 cases"));
  StudyResults study = testing::sample_sizes();
  testing::set_final_losses(study.cases[2], "muon", [](std::uint64_t seed) {
    return 9.0 + 0.01 * static_cast<double>(seed * seed % 3);
  });
  testing::set_queued(testing::final_cell(study.cases[3], "muon", 1));
  testing::set_queued(testing::final_cell(study.cases[3], "muon", 2));
  testing::set_queued(testing::final_cell(study.cases[3], "muon", 3));
  EXPECT_THAT(markdown(study),
              ::testing::MatchesRegex(
                  "(.|\n)*muon is ahead of adamw in the cases w64 and w128 "
                  ".by [0-9.]+ to [0-9.]+ nats., is behind adamw in the case "
                  "w192 .by [0-9.]+ nats. and is not tested in the case "
                  "w256(.|\n)*"));
}

TEST_F(OverviewFiles, CsvHasTheCellsOfAllCases) {
  const StudyResults study = testing::sample_sizes();
  const std::string text = core::read_file(write(study).csv);
  EXPECT_EQ(text.rfind("case,id,arm,", 0), 0U);
  std::size_t cells = 0;
  for (const Results& one : study.cases) cells += one.cells.size();
  EXPECT_EQ(
      static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n')),
      cells + 1);
  EXPECT_THAT(text, HasSubstr("\nw192,final-muon"));
}

TEST_F(OverviewFiles, RefusesAStudyWithoutCases) {
  EXPECT_THROW((void)write(StudyResults()), Error);
}

// Its table from its per-seed numbers, which are rounded to four decimals.
TEST_F(OverviewFiles, PublishedTwoComesOutAgain) {
  const StudyResults study = testing::published_two_results();
  for (const Results& one : study.cases) {
    for (const std::string metric :
         {"loss", "accuracy", "perplexity", "time"}) {
      const PublishedSize* row = published_size(one.setup.case_name, metric);
      ASSERT_NE(row, nullptr);
      const auto adamw = detail::final_values(one, "adamw", metric);
      const auto muon = detail::final_values(one, "muon", metric);
      // Seconds are rounded to .1, losses to .0001; perplexity is exp(loss).
      const double rounding = metric == "time" ? 0.051
                              : metric == "perplexity"
                                  ? 0.00005 * row->adamw + 0.00011
                                  : 0.00011;
      EXPECT_NEAR(statistics::mean(adamw), row->adamw, rounding);
      EXPECT_NEAR(statistics::mean(muon), row->muon, rounding);
      EXPECT_NEAR(statistics::population_deviation(adamw), row->adamw_sd,
                  rounding);
      const double better = detail::improvement_percent(
          metric, statistics::mean(adamw), statistics::mean(muon));
      EXPECT_NEAR(better, row->improvement, 0.11) << row->size << metric;
      const auto p = detail::pooled_p(adamw, muon);
      if (metric == "time") continue;  // its rounding is as large as its sd
      ASSERT_TRUE(p);
      EXPECT_NEAR(*p, std::stod(row->p), 0.0016) << row->size << metric;
    }
  }
}

TEST_F(OverviewFiles, PublishedTwoIsLabelled) {
  const ReportFiles files = write(testing::published_two_results());
  const std::string text = core::read_file(files.markdown);
  EXPECT_THAT(
      text, AllOf(HasSubstr("As the published study computed it"),
                  HasSubstr("n = 2: none"), HasSubstr("muon wins 3 of 4"),
                  HasSubstr("As the study computed it"), HasSubstr("+233.9 %"),
                  HasSubstr("not tested")));
  // Loss and accuracy curves of four sizes, four metrics.
  std::size_t panels = 0;
  for (const auto& path : files.plots) {
    panels += path.filename().string().rfind("published-size", 0) == 0 ? 1 : 0;
  }
  EXPECT_EQ(panels, 12U);
}

TEST_F(OverviewFiles, OthersHaveNoPublishedPart) {
  EXPECT_THAT(markdown(testing::sample_sizes()),
              Not(HasSubstr("As the published study")));
}

}  // namespace
}  // namespace muonlab::study
