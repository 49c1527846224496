// Puts the report in order: verdict, audit, results, figures, search, cost,
// failures, setup, commands.
#include <algorithm>
#include <utility>

#include "muonlab/core/text.h"
#include "muonlab/study/document_internal.h"
#include "muonlab/study/published_internal.h"
#include "muonlab/study/wording_internal.h"

namespace muonlab::study::detail {

namespace {

Section audit_section(const Results& results, const ComparisonTable& table) {
  Section section{"What is unfair or uncertain about it", {}};
  Bullets bullets;
  for (const Finding& finding : audit(results, table)) {
    bullets.items.push_back({name_of(finding.concern), finding.text});
  }
  if (bullets.items.empty()) {
    section.blocks.emplace_back(
        Paragraph{"Nothing that the audit looks for was found."});
  } else {
    section.blocks.emplace_back(std::move(bullets));
  }
  return section;
}

Section figures_section(const std::vector<Figure>& figures) {
  Section section{"Figures", {}};
  int number = 0;
  for (const Figure& figure : figures) {
    section.blocks.emplace_back(FigureBlock{++number, figure});
  }
  if (figures.empty()) {
    section.blocks.emplace_back(
        Paragraph{"No run has ended yet: there is nothing to draw."});
  }
  return section;
}

void add_row(Table& table, const std::string& name, const std::string& value) {
  if (!value.empty()) table.rows.push_back({name, value});
}

std::string count_or_empty(std::int64_t count) {
  return count > 0 ? core::grouped(count) : "";
}

Section setup_section(const Results& results) {
  const Setup& setup = results.setup;
  Section section{"Setup", {}};
  Table table;
  table.heading = {"what", "value"};
  table.text_columns = 2;
  add_row(table, "study", setup.name);
  add_row(table, "case", setup.case_title);
  add_row(table, "what the case sets", core::join(setup.case_settings, "; "));
  add_row(table, "rates from the case", setup.rates_from);
  add_row(table, "corpus", setup.corpus);
  add_row(table, "tokenizer", setup.tokenizer);
  add_row(table, "model", setup.model);
  add_row(table, "parameters", count_or_empty(setup.parameters));
  add_row(table, "of these in hidden matrices",
          count_or_empty(setup.hidden_parameters));
  add_row(table, "steps per run", count_or_empty(setup.steps));
  add_row(table, "tokens per step", count_or_empty(setup.tokens_per_step));
  add_row(table, "tokens per run", count_or_empty(tokens_per_run(setup)));
  add_row(table, "tokens in the training split",
          count_or_empty(setup.train_tokens));
  add_row(table, "held-out tokens per evaluation",
          count_or_empty(setup.held_out_tokens));
  add_row(table, "search seeds", seeds_text(setup.search_seeds));
  add_row(table, "final seeds", seeds_text(setup.final_seeds));
  add_row(table, "baseline", setup.baseline);
  for (const Arm& arm : results.arms) {
    add_row(table, "arm " + arm.name, arm.description);
  }
  if (!setup.not_tuned.empty()) {
    add_row(table, "the same for all arms, not tuned",
            list_text(setup.not_tuned));
  }
  add_row(table, "machine", setup.machine);
  add_row(table, "use of the cores", setup.parallel);
  add_row(table, "versions", setup.versions);
  section.blocks.emplace_back(std::move(table));
  return section;
}

Section commands_section(const Results& results) {
  Section section{"Commands", {}};
  std::vector<std::string> lines = results.commands;
  if (lines.empty() && !results.setup.command.empty()) {
    lines.push_back(results.setup.command);
  }
  if (lines.empty()) {
    section.blocks.emplace_back(Paragraph{"No command was recorded."});
  } else {
    section.blocks.emplace_back(Code{std::move(lines)});
  }
  section.blocks.emplace_back(Paragraph{
      "Beside this report: results.csv has one row for each run (losses in "
      "nats per token, times in seconds, memory in bytes; the four times are "
      "per step; length below 1: a short run of the search), results.json "
      "everything that was measured, curves included, "
      "and plots/ the Vega-Lite specification of each figure."});
  return section;
}

}  // namespace

Document build_document(const Results& results, const ComparisonTable& table,
                        const std::vector<Figure>& figures) {
  const Setup& setup = results.setup;
  Document document;
  document.title = !setup.title.empty()  ? setup.title
                   : !setup.name.empty() ? "Study " + setup.name
                                         : "Study";
  if (!setup.case_name.empty()) {
    document.title +=
        ": " + (setup.case_title.empty() ? setup.case_name : setup.case_title);
  }
  std::vector<std::string> names;
  for (const Arm& arm : results.arms) names.push_back(arm.name);
  const bool searched =
      std::any_of(results.arms.begin(), results.arms.end(),
                  [](const Arm& arm) { return arm.searched; });
  document.question = "Which of " + list_text(names) +
                      " is ahead after the same " +
                      core::grouped(tokens_per_run(setup)) + " tokens " +
                      (searched ? "when the learning rates are tuned for each"
                                : "at the rates that each was given") +
                      ", by how much, and with what certainty?";
  document.verdict = verdict(results, table);
  document.sections.push_back(audit_section(results, table));
  document.sections.push_back(results_section(results, table));
  document.sections.push_back(seeds_section(results, table));
  document.sections.push_back(figures_section(figures));
  Section published = published_rates_section(results);
  if (!published.blocks.empty()) {
    document.sections.push_back(std::move(published));
  }
  document.sections.push_back(search_section(results));
  document.sections.push_back(cost_section(results));
  document.sections.push_back(failures_section(results));
  document.sections.push_back(setup_section(results));
  document.sections.push_back(commands_section(results));
  return document;
}

}  // namespace muonlab::study::detail
