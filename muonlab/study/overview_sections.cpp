// The tables of an overview.
#include <algorithm>
#include <cmath>

#include "muonlab/core/text.h"
#include "muonlab/study/overview_internal.h"
#include "muonlab/study/step_times_internal.h"
#include "muonlab/study/wording_internal.h"

namespace muonlab::study::detail {

namespace {

using Row = std::vector<std::string>;

std::string name_of(const CaseView& view) {
  return view.setup().case_name.empty() ? view.setup().name
                                        : view.setup().case_name;
}

std::string report_of(const CaseView& view) {
  return view.setup().case_name + "/report.html";
}

std::string interval_or_none(const Comparison& c) {
  return c.test && c.test->interval ? interval_text(*c.test->interval) : kNone;
}

std::string judgement(const Comparison& c) {
  if (c.n() == 0) return "no runs yet";
  if (!c.p_holm) return "not tested";
  if (!c.established()) return "not told apart";
  return *c.difference < 0 ? "ahead" : "behind";
}

std::string mean_and_sd(const ArmSummary& arm) {
  if (!arm.mean_loss) return kNone;
  return loss_text(*arm.mean_loss) +
         (arm.sd ? " (sd " + loss_text(*arm.sd) + ")" : "");
}

Table difference_table(const Overview& overview) {
  Table table;
  const std::string& baseline = overview.study->setup.baseline;
  table.heading = {"case",        "about",      "arm",
                   "verdict",     "n",          baseline,
                   "arm's loss",  "difference", "95 % interval",
                   "p, paired t", "p, Holm"};
  table.text_columns = 4;
  for (const CaseView& view : overview.cases) {
    for (const Comparison& c : view.table.comparisons) {
      table.rows.push_back({name_of(view), view.setup().case_title, c.arm,
                            judgement(c), std::to_string(c.n()),
                            loss_text(c.baseline_mean), loss_text(c.arm_mean),
                            c.difference ? signed_text(*c.difference) : kNone,
                            interval_or_none(c),
                            p_text(c.test ? c.test->p : std::nullopt),
                            p_text(c.p_holm)});
      table.links.push_back(report_of(view));
      table.colors.push_back(arm_color(c.arm, view.results->arms));
    }
  }
  return table;
}

Table case_table(const Overview& overview) {
  Table table;
  table.heading = {"case", "parameters", "tokens per run", "per parameter"};
  for (const Arm& arm : overview.first().arms) {
    table.heading.push_back(arm.name);
  }
  for (const CaseView& view : overview.cases) {
    const std::int64_t tokens = tokens_per_run(view.setup());
    const std::int64_t parameters = view.setup().parameters;
    Row row = {name_of(view), core::grouped(parameters), core::grouped(tokens),
               parameters > 0 ? significant(static_cast<double>(tokens) /
                                                static_cast<double>(parameters),
                                            3)
                              : kNone};
    for (const Arm& arm : overview.first().arms) {
      const ArmSummary* summary = view.summary(arm.name);
      row.push_back(summary == nullptr ? kNone : mean_and_sd(*summary));
    }
    table.rows.push_back(std::move(row));
    table.links.push_back(report_of(view));
  }
  return table;
}

// Arms' best single runs, where no case has final runs.
Table single_run_table(const Overview& overview) {
  Table table;
  table.heading = {"case", "verdict"};
  table.text_columns = 2;
  for (const CaseView& view : overview.cases) {
    table.rows.push_back(
        {name_of(view), verdict(*view.results, view.table).sentence});
    table.links.push_back(report_of(view));
  }
  return table;
}

Table target_table(const Overview& overview) {
  Table table;
  table.heading = {"case", "arm", "target loss", "steps", "baseline's steps",
                   "ratio"};
  table.text_columns = 2;
  for (const CaseView& view : overview.cases) {
    for (const Comparison& c : view.table.comparisons) {
      const auto target = target_steps(view, c.arm);
      if (!target) continue;
      table.rows.push_back(
          {name_of(view), c.arm, loss_text(target->loss),
           target->steps ? core::fixed(*target->steps, 0) : "not reached",
           core::fixed(target->baseline_steps, 0),
           target->steps
               ? core::fixed(target->baseline_steps / *target->steps, 2)
               : kNone});
      table.links.push_back(report_of(view));
    }
  }
  return table;
}

std::string accuracy_text(const CaseView& view, const std::string& arm) {
  double sum = 0;
  int count = 0;
  for (const Cell& cell : view.results->cells) {
    if (cell.phase != "final" || cell.arm != arm || cell.state != "done") {
      continue;
    }
    if (!cell.accuracy) return kNone;
    sum += *cell.accuracy;
    ++count;
  }
  return count > 0 ? percent_text(sum / count) : kNone;
}

}  // namespace

Section verdicts_section(const Overview& overview) {
  Section section{"Verdict of each case", {}};
  if (!overview.has_final_runs()) {
    section.blocks.emplace_back(single_run_table(overview));
    return section;
  }
  section.blocks.emplace_back(difference_table(overview));
  section.blocks.emplace_back(Paragraph{
      "Difference: mean over seeds of the arm's final held-out loss minus "
      "that of " +
      overview.study->setup.baseline +
      " at the same seed, in nats per token; negative means ahead. Interval "
      "and p: paired t test over seeds, two-sided; Holm: adjusted within the "
      "case, not over cases. The name of a case leads to its own report, with "
      "its search, its curves and its audit."});
  section.blocks.emplace_back(Subheading{"Losses"});
  section.blocks.emplace_back(case_table(overview));
  section.blocks.emplace_back(Paragraph{
      "Final held-out loss in nats per token, mean over seeds, sd with n − 1 "
      "in brackets. Losses of cases with different data, vocabulary or "
      "held-out windows cannot be compared; the differences inside a case "
      "can."});
  Table targets = target_table(overview);
  if (targets.rows.empty()) return section;
  section.blocks.emplace_back(Subheading{"Steps to the baseline's last loss"});
  section.blocks.emplace_back(std::move(targets));
  section.blocks.emplace_back(Paragraph{
      "The first step at which the mean over seeds of the held-out loss is at "
      "or below the baseline's last, between evaluations by straight lines. "
      "With a schedule that decays, losses before the end are too high, so an "
      "arm reaches the target later than a run planned for fewer steps "
      "would."});
  return section;
}

Section ladder_section(const Overview& overview) {
  Section section{"What each change does", {}};
  if (overview.has_sizes() || overview.cases.size() < 2 ||
      !overview.has_final_runs()) {
    return section;
  }
  Table table;
  table.heading = {"case", "what it sets", "arm",        "n",
                   "loss", "accuracy",     "difference", "95 % interval"};
  table.text_columns = 3;
  for (const CaseView& view : overview.cases) {
    for (const ArmSummary& arm : view.table.arms) {
      const Comparison* c = view.comparison(arm.arm);
      const auto& settings = view.setup().case_settings;
      table.rows.push_back(
          {name_of(view),
           settings.empty() ? "as the study" : core::join(settings, "; "),
           arm.arm, std::to_string(arm.losses.size()), loss_text(arm.mean_loss),
           accuracy_text(view, arm.arm),
           c != nullptr && c->difference ? signed_text(*c->difference) : kNone,
           c != nullptr ? interval_or_none(*c) : kNone});
      table.links.push_back(report_of(view));
      table.colors.push_back(arm_color(arm.arm, view.results->arms));
    }
  }
  section.blocks.emplace_back(std::move(table));
  section.blocks.emplace_back(Paragraph{
      "One row for each arm of each case. Accuracy: share of held-out tokens "
      "ranked first. The difference to " +
      overview.study->setup.baseline +
      " is inside the case; how it changes from case to case is what the "
      "change does to the comparison."});
  return section;
}

Section cases_cost_section(const Overview& overview) {
  Section section{"Cost", {}};
  Table table;
  table.heading = {"case",      "arm",
                   "step",      "× " + overview.study->setup.baseline,
                   "optimizer", "optimizer share"};
  table.text_columns = 2;
  for (const CaseView& view : overview.cases) {
    const std::vector<ArmStepTime> times = step_times(*view.results);
    double reference = 0;
    for (const ArmStepTime& one : times) {
      if (one.arm == view.table.baseline) reference = total(one.time);
    }
    for (const ArmStepTime& one : times) {
      const double sum = total(one.time);
      table.rows.push_back(
          {name_of(view), one.arm, core::fixed(1e3 * sum, 1) + " ms",
           reference > 0 ? core::fixed(sum / reference, 3) : kNone,
           core::fixed(1e3 * one.time.optimizer, 1) + " ms",
           sum > 0 ? percent_text(one.time.optimizer / sum) : kNone});
      table.links.push_back(report_of(view));
      table.colors.push_back(arm_color(one.arm, view.results->arms));
    }
  }
  if (table.rows.empty()) return section;
  section.blocks.emplace_back(std::move(table));
  section.blocks.emplace_back(Paragraph{
      "Medians of timing runs that had the machine to themselves, one per arm "
      "and case, so without an interval."});
  return section;
}

}  // namespace muonlab::study::detail
