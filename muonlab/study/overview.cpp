#include "muonlab/study/overview.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "muonlab/core/text.h"
#include "muonlab/study/overview_internal.h"
#include "muonlab/study/published_internal.h"
#include "muonlab/study/report_files_internal.h"
#include "muonlab/study/wording_internal.h"

namespace muonlab::study {

namespace detail {

namespace {

std::string name_of(const CaseView& view) {
  return view.setup().case_name.empty() ? view.setup().name
                                        : view.setup().case_name;
}

std::string in_cases(const std::vector<std::string>& names, std::size_t all) {
  if (names.size() == all && all > 1) {
    return "in all " + std::to_string(all) + " cases";
  }
  return (names.size() == 1 ? "in the case " : "in the cases ") +
         list_text(names);
}

// "muon is ahead of adamw in the cases a and b, and cannot be told ..."
struct Range {
  double least = HUGE_VAL;
  double most = 0;
  void add(double difference) {
    least = std::min(least, std::abs(difference));
    most = std::max(most, std::abs(difference));
  }
  [[nodiscard]] std::string text() const {
    return " (by " + loss_text(least) +
           (most > least ? " to " + loss_text(most) : "") + " nats)";
  }
};

std::string clause(const Overview& overview, const std::string& arm) {
  Range lead;
  Range lag;
  std::vector<std::string> ahead;
  std::vector<std::string> behind;
  std::vector<std::string> undecided;
  std::vector<std::string> untested;
  for (const CaseView& view : overview.cases) {
    const Comparison* c = view.comparison(arm);
    if (c == nullptr || !c->p_holm) {
      untested.push_back(name_of(view));
    } else if (!c->established()) {
      undecided.push_back(name_of(view));
    } else {
      (*c->difference < 0 ? ahead : behind).push_back(name_of(view));
      (*c->difference < 0 ? lead : lag).add(*c->difference);
    }
  }
  const std::string& baseline = overview.study->setup.baseline;
  const std::size_t all = overview.cases.size();
  std::vector<std::string> parts;
  if (!ahead.empty()) {
    parts.push_back("is ahead of " + baseline + " " + in_cases(ahead, all) +
                    lead.text());
  }
  if (!behind.empty()) {
    parts.push_back("is behind " + baseline + " " + in_cases(behind, all) +
                    lag.text());
  }
  if (!undecided.empty()) {
    parts.push_back("cannot be told apart from " + baseline + " " +
                    in_cases(undecided, all));
  }
  if (!untested.empty()) {
    parts.push_back("is not tested " + in_cases(untested, all));
  }
  return arm + " " + list_text(parts);
}

std::string rates_text(const CaseView& view) {
  if (!view.setup().rates_from.empty()) {
    return "the case " + view.setup().rates_from;
  }
  const auto& arms = view.results->arms;
  return std::any_of(arms.begin(), arms.end(),
                     [](const Arm& arm) { return arm.searched; })
             ? "its own search"
             : "the plan";
}

Section setup_section(const Overview& overview) {
  const Setup& setup = overview.study->setup;
  Section section{"Setup", {}};
  Table table;
  table.heading = {"case", "what it sets", "model", "rates from"};
  table.text_columns = 4;
  for (const CaseView& view : overview.cases) {
    table.rows.push_back({name_of(view),
                          core::join(view.setup().case_settings, "; "),
                          view.setup().model, rates_text(view)});
    table.links.push_back(view.setup().case_name + "/report.html");
  }
  section.blocks.emplace_back(std::move(table));
  Table common;
  common.heading = {"what", "value"};
  common.text_columns = 2;
  const auto add = [&](const std::string& name, const std::string& value) {
    if (!value.empty()) common.rows.push_back({name, value});
  };
  add("study", setup.name);
  add("corpus of the first case", setup.corpus);
  add("baseline", setup.baseline);
  for (const Arm& arm : overview.first().arms) {
    add("arm " + arm.name, arm.description);
  }
  add("machine", setup.machine);
  add("use of the cores", setup.parallel);
  add("versions", setup.versions);
  section.blocks.emplace_back(std::move(common));
  return section;
}

Section commands_section(const Overview& overview) {
  Section section{"Commands", {}};
  std::vector<std::string> lines = overview.first().commands;
  if (lines.empty()) lines.push_back(overview.study->setup.command);
  section.blocks.emplace_back(Code{std::move(lines)});
  section.blocks.emplace_back(Paragraph{
      "Beside this report: CASE/report.html for each case; results.csv with "
      "one row for each run of every case, results.json with everything, "
      "plots/ with the Vega-Lite specification of each figure."});
  return section;
}

Document build(const Overview& overview, const std::vector<Figure>& drawings,
               const std::vector<CaseSpeedup>& speedups) {
  const Setup& setup = overview.study->setup;
  std::vector<std::string> names;
  for (const Arm& arm : overview.first().arms) names.push_back(arm.name);
  Document document;
  document.title = setup.title.empty() ? "Study " + setup.name : setup.title;
  document.question =
      "Which of " + list_text(names) +
      " is ahead, and does the answer hold in " +
      count_text(static_cast<std::int64_t>(overview.cases.size()), "case") +
      "?";
  document.verdict = overview_verdict(overview);
  document.sections = {overview_audit(overview), verdicts_section(overview),
                       ladder_section(overview)};
  Section figures{"Figures", {}};
  int number = 0;
  for (const Figure& figure : drawings) {
    figures.blocks.emplace_back(FigureBlock{++number, figure});
  }
  if (drawings.empty()) {
    figures.blocks.emplace_back(
        Paragraph{"No final run has ended yet: there is nothing to draw."});
  }
  document.sections.push_back(std::move(figures));
  document.sections.push_back(scaling_section(overview));
  document.sections.push_back(speedup_section(overview, speedups));
  document.sections.push_back(published_sizes_section(overview));
  document.sections.push_back(cases_cost_section(overview));
  document.sections.push_back(setup_section(overview));
  document.sections.push_back(commands_section(overview));
  std::erase_if(document.sections,
                [](const Section& one) { return one.blocks.empty(); });
  return document;
}

}  // namespace

Verdict overview_verdict(const Overview& overview) {
  Verdict result;
  if (!overview.has_final_runs()) {
    result.sentence =
        "Only single runs exist (n = 1): no case has final runs, so nothing "
        "is tested.";
    return result;
  }
  std::vector<std::string> clauses;
  for (const Arm& arm : overview.first().arms) {
    if (arm.name == overview.study->setup.baseline) continue;
    clauses.push_back(clause(overview, arm.name));
  }
  result.sentence =
      clauses.empty()
          ? "There is one arm only: nothing is compared."
          : "After the same tokens, " + core::join(clauses, "; ") + ".";
  result.remarks = {
      "Ahead and behind: Holm-adjusted p of the paired t test below .05 "
      "within the case; nothing is adjusted for the number of cases. \"Cannot "
      "be told apart\" is not evidence that two arms are equal. \"Not "
      "tested\": fewer than three seeds, or runs that have not ended."};
  return result;
}

// What is unfair in any case, and what is uncertain in several.
Section overview_audit(const Overview& overview) {
  Section section{"What is unfair or uncertain about it", {}};
  std::vector<Finding> order;
  std::map<std::string, std::vector<std::string>> cases;  // by text
  for (const CaseView& view : overview.cases) {
    for (const Finding& finding : audit(*view.results, view.table)) {
      if (!cases.contains(finding.text)) order.push_back(finding);
      cases[finding.text].push_back(name_of(view));
    }
  }
  std::stable_sort(
      order.begin(), order.end(), [](const Finding& a, const Finding& b) {
        return static_cast<int>(a.concern) < static_cast<int>(b.concern);
      });
  Bullets bullets;
  const std::size_t all = overview.cases.size();
  for (const Finding& finding : order) {
    const auto& names = cases.at(finding.text);
    const bool shown = finding.concern == Concern::kUnfair ||
                       (finding.concern == Concern::kUncertain &&
                        (names.size() > 1 || all == 1));
    if (!shown) continue;
    bullets.items.push_back(
        {study::name_of(finding.concern),
         (names.size() == all && all > 1 ? "All cases: "
                                         : list_text(names) + ": ") +
             finding.text});
  }
  if (!bullets.items.empty()) section.blocks.emplace_back(std::move(bullets));
  section.blocks.emplace_back(Paragraph{
      "Everything unfair, and what is uncertain in more than one case; each "
      "case's own report has the rest."});
  return section;
}

}  // namespace detail

ReportFiles write_overview(const StudyResults& results,
                           const std::filesystem::path& folder,
                           const std::filesystem::path& vega_bundle) {
  const detail::Overview overview = detail::view_of(results);
  const auto speedups = detail::case_speedups(overview);
  std::vector<Figure> drawings = detail::overview_figures(overview, speedups);
  for (Figure& figure : detail::published_size_figures(overview)) {
    drawings.push_back(std::move(figure));
  }
  return detail::write_files(detail::build(overview, drawings, speedups),
                             drawings, results_csv(results),
                             results_json(results), folder, vega_bundle);
}

}  // namespace muonlab::study
