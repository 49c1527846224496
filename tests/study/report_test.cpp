#include "muonlab/study/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <string>

#include "muonlab/core/error.h"
#include "muonlab/core/files.h"
#include "muonlab/study/figures.h"
#include "tests/study/sample_results.h"

namespace muonlab::study {
namespace {

using ::testing::AllOf;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::sample_results;

// Stands for the real library: the files' text is what these tests read.
constexpr const char* kBundle = "window.vegaEmbed = (node, spec) => spec;";

class Report : public ::testing::Test {
 protected:
  Report() {
    folder_ = std::filesystem::temp_directory_path() /
              ("muonlab-report-" + std::to_string(std::random_device()()));
    core::make_folder(folder_);
    core::write_file(bundle(), kBundle);
  }
  ~Report() override {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }

  [[nodiscard]] std::filesystem::path bundle() const {
    return folder_ / "bundle.js";
  }
  ReportFiles write(const Results& results) {
    return write_report(results, folder_ / "out", bundle());
  }
  std::string html(const Results& results) {
    return core::read_file(write(results).html);
  }

  std::filesystem::path folder_;
};

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (auto at = text.find(part); at != std::string::npos;
       at = text.find(part, at + part.size())) {
    ++found;
  }
  return found;
}

// RFC 4180: rows of fields, quotes undone.
std::vector<std::vector<std::string>> parse_csv(const std::string& text) {
  std::vector<std::vector<std::string>> rows(1, {""});
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    std::string& field = rows.back().back();
    if (quoted) {
      if (c != '"') {
        field += c;
      } else if (i + 1 < text.size() && text[i + 1] == '"') {
        field += '"';
        ++i;
      } else {
        quoted = false;
      }
    } else if (c == '"') {
      quoted = true;
    } else if (c == ',') {
      rows.back().emplace_back();
    } else if (c == '\n') {
      rows.push_back({""});
    } else {
      field += c;
    }
  }
  rows.pop_back();  // after the last newline
  return rows;
}

TEST_F(Report, WritesEveryFile) {
  const ReportFiles files = write(sample_results());
  for (const auto& path : {files.html, files.markdown, files.csv, files.json}) {
    EXPECT_GT(std::filesystem::file_size(path), 100U) << path;
  }
  std::vector<std::string> names;
  for (const auto& path : files.plots) {
    names.push_back(path.filename().string());
    EXPECT_TRUE(nlohmann::json::accept(core::read_file(path))) << path;
  }
  EXPECT_THAT(names, ::testing::ElementsAre(
                         "paired-differences.vl.json", "held-out-loss.vl.json",
                         "training-loss.vl.json", "search-hidden.vl.json",
                         "search-auxiliary.vl.json", "search-joint.vl.json",
                         "step-time.vl.json"));
}

TEST_F(Report, KeepsItsOrder) {
  const ReportFiles files = write(sample_results());
  const std::vector<std::string> order = {
      "After the same 491,520 tokens",
      "What is unfair or uncertain about it",
      "Results",
      "Every seed",
      "Figures",
      "Search",
      "Cost",
      "Failures",
      "Setup",
      "Commands"};
  for (const auto& path : {files.html, files.markdown}) {
    const std::string text = core::read_file(path);
    const bool markdown = path.extension() == ".md";
    std::size_t last = 0;
    for (std::size_t i = 0; i < order.size(); ++i) {
      const std::string mark =
          i == 0 ? order[i] : (markdown ? "\n## " : "<h2>") + order[i];
      const std::size_t at = text.find(mark);
      ASSERT_NE(at, std::string::npos) << mark << " in " << path;
      EXPECT_GT(at, last) << mark << " in " << path;
      last = at;
    }
  }
}

TEST_F(Report, IsSelfContained) {
  const std::string text = html(sample_results());
  EXPECT_THAT(text, AllOf(HasSubstr(kBundle), Not(HasSubstr(" src=")),
                          Not(HasSubstr("@import")), Not(HasSubstr("url("))));
  // The one <link> is the empty icon.
  EXPECT_EQ(count(text, "<link"), 1U);
  EXPECT_THAT(text, HasSubstr("href=\"data:,\""));
}

TEST_F(Report, ShowsEveryTrialInBothForms) {
  Results results = sample_results();
  const ReportFiles files = write(results);
  const std::string page = core::read_file(files.html);
  const std::string markdown = core::read_file(files.markdown);
  EXPECT_EQ(count(page, "<h3>Trials of "), 4U);
  EXPECT_EQ(count(markdown, "### Trials of "), 4U);
  // Seven trials an arm; one of them diverged, and is a failure as well.
  EXPECT_EQ(count(page, "<td>done</td>"), 27U);
  EXPECT_EQ(count(page, "<td>diverged</td>"), 2U);
  EXPECT_EQ(count(markdown, "| done |"), 27U);
  EXPECT_EQ(count(page, "<td>chosen</td>"), 4U);
  EXPECT_THAT(markdown, HasSubstr("loss is not finite at step 61"));
}

TEST_F(Report, EscapesHostileNames) {
  Results results = sample_results();
  const std::string hostile =
      "x</script><script>alert(1)</script><!-- | `a` &amp; \"q\" *b*\xff";
  for (Arm& arm : results.arms) {
    if (arm.name == "muon") arm.name = hostile;
  }
  for (Cell& cell : results.cells) {
    if (cell.arm == "muon") cell.arm = hostile;
  }
  const ReportFiles files = write(results);
  const std::string page = core::read_file(files.html);
  EXPECT_THAT(page, AllOf(Not(HasSubstr("<script>alert")),
                          HasSubstr("x&lt;/script&gt;&lt;script&gt;alert")));
  // Seven figures, the bundle and our own script: no more can have opened.
  EXPECT_EQ(count(page, "<script"), 9U);
  EXPECT_EQ(count(page, "</script>"), 9U);
  EXPECT_EQ(count(page, "<!--"), 0U);
  const std::string markdown = core::read_file(files.markdown);
  EXPECT_THAT(markdown, AllOf(Not(HasSubstr("<script>")), HasSubstr("\\|"),
                              HasSubstr("\\`a\\`"), HasSubstr("&amp;amp;")));
  EXPECT_TRUE(nlohmann::json::accept(core::read_file(files.json)));
}

TEST_F(Report, CsvReadsBack) {
  Results results = sample_results();
  results.cells[3].cause = "a \"quoted\", two-line\ncause";
  results.cells[4].loss = 0.1 + 0.2;
  results.cells[5].peak_memory_bytes = std::nan("");
  const auto rows = parse_csv(core::read_file(write(results).csv));
  ASSERT_EQ(rows.size(), results.cells.size() + 1);
  std::map<std::string, std::size_t> column;
  for (std::size_t i = 0; i < rows[0].size(); ++i) column[rows[0][i]] = i;
  EXPECT_EQ(column.size(), 26U);
  for (const auto& row : rows) EXPECT_EQ(row.size(), rows[0].size());
  EXPECT_EQ(rows[4][column["cause"]], results.cells[3].cause);
  EXPECT_EQ(std::stod(rows[5][column["loss"]]), 0.1 + 0.2);
  EXPECT_EQ(rows[6][column["peak_memory_bytes"]], "nan");
  EXPECT_EQ(rows[1][column["arm"]], "adamw-joint");
  EXPECT_EQ(rows[1][column["forward_seconds"]], "");
  for (std::size_t i = 0; i < results.cells.size(); ++i) {
    EXPECT_EQ(std::stod(rows[i + 1][column["hidden_lr"]]),
              results.cells[i].hidden_lr);
  }
}

TEST_F(Report, JsonHoldsEverything) {
  Results results = sample_results();
  results.cells[0].standard_error = std::numeric_limits<double>::infinity();
  const auto json = nlohmann::json::parse(core::read_file(write(results).json));
  EXPECT_EQ(json["cells"].size(), results.cells.size());
  EXPECT_EQ(json["cells"][0]["standard_error"], "inf");
  EXPECT_EQ(json["cells"][1]["loss"].get<double>(), *results.cells[1].loss);
  EXPECT_EQ(json["comparisons"].size(), 3U);
  EXPECT_TRUE(json["complete"].get<bool>());
  EXPECT_EQ(json["setup"]["baseline"], "adamw");
  const Cell& last_final = testing::final_cell(results, "muonw", 5);
  for (const auto& cell : json["cells"]) {
    if (cell["id"] == last_final.id) {
      EXPECT_EQ(cell["train"]["loss"].size(), 240U);
    }
  }
}

TEST_F(Report, WritesTheRestWhenTheBundleIsMissing) {
  std::filesystem::remove(bundle());
  try {
    (void)write(sample_results());
    FAIL() << "expected an Error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kIo);
    EXPECT_THAT(error.hint(), HasSubstr("scripts/setup"));
  }
  EXPECT_TRUE(std::filesystem::exists(folder_ / "out" / "report.md"));
  EXPECT_TRUE(std::filesystem::exists(folder_ / "out" / "results.csv"));
  EXPECT_TRUE(std::filesystem::exists(folder_ / "out" / "results.json"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "out" / "report.html"));
}

TEST_F(Report, RefusesAFileThatIsNoBundle) {
  core::write_file(bundle(), "nothing");
  try {
    (void)write(sample_results());
    FAIL() << "expected an Error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kCorruptData);
  }
}

TEST_F(Report, BundleCannotEndItsScript) {
  core::write_file(bundle(),
                   "window.vegaEmbed = 0; const a = '</script><!--';");
  EXPECT_THAT(html(sample_results()),
              HasSubstr("const a = '<\\/script>\\x3c!--';"));
}

TEST_F(Report, IsWrittenAfterTheSearchAlone) {
  Results results = sample_results();
  for (Cell& cell : results.cells) {
    if (cell.phase == "search") continue;
    testing::set_queued(cell);
  }
  const ReportFiles files = write(results);
  EXPECT_EQ(files.plots.size(), 3U);
  EXPECT_THAT(
      core::read_file(files.html),
      AllOf(HasSubstr("not finished"), HasSubstr("incomplete"),
            HasSubstr("No timing runs were made"), Not(HasSubstr("nan"))));
}

TEST_F(Report, IsWrittenBeforeAnythingRan) {
  Results results = sample_results();
  for (Cell& cell : results.cells) {
    testing::set_queued(cell);
  }
  for (Arm& arm : results.arms) {
    arm.searches.clear();
    arm.trials = 0;
  }
  results.setup.final_seeds.clear();
  results.commands.clear();
  EXPECT_THAT(html(results), HasSubstr("there is nothing to draw"));
}

TEST_F(Report, DrawsTenArmsInTenColors) {
  Results results = sample_results();
  const std::vector<Arm> known = results.arms;
  for (int i = 0; i < 6; ++i) {
    Arm arm = known[2];
    arm.name = "variant-" + std::to_string(i);
    results.arms.push_back(arm);
  }
  std::map<std::string, int> colors;
  for (const Arm& arm : results.arms)
    ++colors[arm_color(arm.name, results.arms)];
  EXPECT_EQ(colors.size(), 10U);
  EXPECT_EQ(arm_color("muon", results.arms), "#ff7f0e");
  EXPECT_EQ(arm_color("adamw", results.arms), "#d62728");
  EXPECT_NO_THROW((void)write(results));
}

TEST_F(Report, MarksDivergedTrialsAtTheTopOfThePanel) {
  const Results results = sample_results();
  for (const Figure& figure : figures(results, compare_to_baseline(results))) {
    EXPECT_THAT(figure.caption, HasSubstr("491,520 tokens"));
    if (figure.name != "search-joint") continue;
    const auto spec = nlohmann::json::parse(figure.spec);
    const auto& encoding = spec["layer"][3]["encoding"];
    const double top = encoding["y"]["scale"]["domain"][1].get<double>();
    int above = 0;
    for (const auto& point : spec["layer"][3]["data"]["values"]) {
      EXPECT_LT(point["shown"].get<double>(), top);
      if (point["kind"] == "diverged or above the panel") ++above;
    }
    EXPECT_EQ(above, 1);
  }
}

}  // namespace
}  // namespace muonlab::study
