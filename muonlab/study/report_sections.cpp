// The outcome sections of the report as tables of text; the cost has a file of
// its own.
#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "muonlab/core/text.h"
#include "muonlab/study/document_internal.h"
#include "muonlab/study/search_keys_internal.h"
#include "muonlab/study/wording_internal.h"

namespace muonlab::study::detail {

namespace {

using Row = std::vector<std::string>;

std::string rate_or_none(double rate) {
  return rate > 0 ? rate_text(rate) : kNone;
}

bool any_settings(const Results& results) {
  return std::any_of(results.arms.begin(), results.arms.end(),
                     [](const Arm& arm) { return !arm.settings.empty(); });
}

// Of the final runs of one arm that ended; unset where one has none.
std::optional<double> mean_accuracy(const Results& results,
                                    const std::string& arm) {
  double sum = 0;
  int count = 0;
  for (const Cell& cell : results.cells) {
    if (cell.phase != "final" || cell.arm != arm || cell.state != "done") {
      continue;
    }
    if (!cell.accuracy) return std::nullopt;
    sum += *cell.accuracy;
    ++count;
  }
  if (count == 0) return std::nullopt;
  return sum / count;
}

Table loss_table(const Results& results, const ComparisonTable& table) {
  Table losses;
  losses.heading = {"arm",           "rule for hidden matrices",
                    "hidden rate",   "auxiliary rate",
                    "trials",        "n",
                    "final loss",    "sd",
                    "bits per byte", "accuracy"};
  losses.text_columns = 2;
  const bool settings = any_settings(results);
  if (settings) losses.heading.emplace_back("other settings");
  for (std::size_t i = 0; i < results.arms.size(); ++i) {
    const Arm& arm = results.arms[i];
    const ArmSummary& summary = table.arms[i];
    losses.rows.push_back(
        {arm.name, arm.rule, rate_or_none(arm.hidden_lr),
         rate_or_none(arm.auxiliary_lr), std::to_string(arm.trials),
         std::to_string(summary.seeds.size()), loss_text(summary.mean_loss),
         loss_text(summary.sd), loss_text(summary.mean_bits_per_byte)});
    const auto accuracy = mean_accuracy(results, arm.name);
    losses.rows.back().push_back(accuracy ? percent_text(*accuracy) : kNone);
    if (settings) losses.rows.back().push_back(settings_text(arm.settings));
    losses.colors.push_back(arm_color(arm.name, results.arms));
  }
  return losses;
}

Row comparison_row(const Comparison& c) {
  Row row = {c.arm, std::to_string(c.n())};
  row.push_back(c.difference ? signed_text(*c.difference) : kNone);
  row.push_back(c.difference
                    ? fixed_text(100 * *c.difference / *c.baseline_mean, 2) +
                          " %"
                    : kNone);
  const bool tested = c.test && c.test->p;
  row.push_back(tested ? interval_text(*c.test->interval) : kNone);
  row.push_back(tested ? fixed_text(*c.test->t, 2) + " (" +
                             core::fixed(c.test->df, 0) + ")"
                       : kNone);
  row.push_back(tested ? p_text(c.test->p) : kNone);
  row.push_back(p_text(c.p_holm));
  row.push_back(c.p_sign_flip ? significant(*c.p_sign_flip, 3) + " (≥ " +
                                    significant(*c.sign_flip_floor, 3) + ")"
                              : kNone);
  row.push_back(c.hedges_g ? fixed_text(*c.hedges_g, 2) : kNone);
  return row;
}

Table difference_table(const Results& results, const ComparisonTable& table) {
  Table differences;
  differences.heading = {"arm − " + table.baseline,
                         "n",
                         "difference",
                         "of loss",
                         "95 % interval",
                         "t (df)",
                         "p, paired t",
                         "p, Holm",
                         "p, sign flip",
                         "Hedges g"};
  for (const Comparison& comparison : table.comparisons) {
    differences.rows.push_back(comparison_row(comparison));
    differences.colors.push_back(arm_color(comparison.arm, results.arms));
  }
  return differences;
}

// Of a study without final runs: what each arm's search found.
Table best_trial_table(const Results& results) {
  Table best;
  best.heading = {"arm",      "best trial", "seed", "loss", "standard error",
                  "accuracy", "trials"};
  best.text_columns = 2;
  for (const Arm& arm : results.arms) {
    const Cell* cell = chosen_trial(results, arm);
    best.colors.push_back(arm_color(arm.name, results.arms));
    if (cell == nullptr || !counted_loss(*cell)) {
      best.rows.push_back({arm.name, "none has ended", kNone, kNone, kNone,
                           kNone, std::to_string(arm.trials)});
      continue;
    }
    best.rows.push_back(
        {arm.name, settings_phrase(*cell), std::to_string(cell->seed),
         loss_text(counted_loss(*cell)), loss_text(cell->standard_error),
         cell->accuracy ? percent_text(*cell->accuracy) : kNone,
         std::to_string(arm.trials)});
  }
  return best;
}

}  // namespace

Section results_section(const Results& results, const ComparisonTable& table) {
  Section section{"Results", {}};
  if (results.setup.final_seeds.empty()) {
    section.blocks.emplace_back(best_trial_table(results));
    section.blocks.emplace_back(Paragraph{
        "The study has no final runs: each row is one run, the trial with the "
        "smallest held-out loss (nats per token, on the selection half, by "
        "which it was chosen). The standard error is over held-out windows "
        "and says nothing about other seeds. Without repeated runs there is "
        "no interval and no p value."});
    return section;
  }
  section.blocks.emplace_back(loss_table(results, table));
  section.blocks.emplace_back(Paragraph{
      "Final loss: mean over n seeds of the held-out loss in nats per token "
      "at the end of fully decayed runs, on the reporting half; sd over seeds "
      "with n − 1."});
  if (table.comparisons.empty()) return section;
  section.blocks.emplace_back(Subheading{"Each arm against " + table.baseline});
  section.blocks.emplace_back(difference_table(results, table));
  section.blocks.emplace_back(Paragraph{
      "Difference: mean over seeds of the arm's loss minus that of " +
      table.baseline +
      " at the same seed, in nats per token; negative means ahead. Interval "
      "and p: paired t test, two-sided. Holm: adjusted for the " +
      count_text(static_cast<std::int64_t>(table.comparisons.size()),
                 "comparison") +
      " of this table. Sign flip: exact permutation test, with the smallest p "
      "that n seeds can reach in brackets. Hedges g: difference over the "
      "pooled standard deviation, small-sample corrected. No rate was tuned "
      "on these losses."});
  return section;
}

Section seeds_section(const Results& results, const ComparisonTable& table) {
  Section section{"Every seed", {}};
  std::set<std::uint64_t> seeds(results.setup.final_seeds.begin(),
                                results.setup.final_seeds.end());
  for (const ArmSummary& arm : table.arms) {
    seeds.insert(arm.seeds.begin(), arm.seeds.end());
  }
  if (seeds.empty()) {
    section.blocks.emplace_back(Paragraph{"No final runs were planned."});
    return section;
  }
  Table losses;
  losses.heading = {"seed"};
  std::vector<std::map<std::uint64_t, double>> columns;
  for (const ArmSummary& arm : table.arms) {
    losses.heading.push_back(arm.arm);
    columns.emplace_back();
    for (std::size_t i = 0; i < arm.seeds.size(); ++i) {
      columns.back()[arm.seeds[i]] = arm.losses[i];
    }
  }
  for (const Comparison& comparison : table.comparisons) {
    losses.heading.push_back(comparison.arm + " − " + table.baseline);
    columns.emplace_back();
    for (std::size_t i = 0; i < comparison.n(); ++i) {
      columns.back()[comparison.seeds[i]] = comparison.differences[i];
    }
  }
  for (const std::uint64_t seed : seeds) {
    Row row = {std::to_string(seed)};
    for (std::size_t i = 0; i < columns.size(); ++i) {
      const auto found = columns[i].find(seed);
      row.push_back(found == columns[i].end() ? kNone
                    : i < table.arms.size()   ? loss_text(found->second)
                                              : signed_text(found->second));
    }
    losses.rows.push_back(std::move(row));
  }
  section.blocks.emplace_back(std::move(losses));
  section.blocks.emplace_back(Paragraph{
      "Final held-out loss in nats per token of each seed (data order and "
      "initial weights are the same for all arms at one seed), and the paired "
      "differences that the tests use."});
  return section;
}

Section failures_section(const Results& results) {
  Section section{"Failures", {}};
  Table failures;
  failures.heading = {"arm", "phase", "state",       "cause",
                      "run", "seed",  "hidden rate", "auxiliary rate"};
  failures.text_columns = 5;
  for (const Cell& cell : results.cells) {
    if (cell.state != "failed" && cell.state != "diverged") continue;
    failures.rows.push_back({cell.arm, cell.phase, cell.state, cell.cause,
                             cell.id, std::to_string(cell.seed),
                             rate_text(cell.hidden_lr),
                             rate_text(cell.auxiliary_lr)});
    failures.colors.push_back(arm_color(cell.arm, results.arms));
  }
  if (failures.rows.empty()) {
    section.blocks.emplace_back(Paragraph{"None: no run failed or diverged."});
  } else {
    section.blocks.emplace_back(std::move(failures));
  }
  return section;
}

}  // namespace muonlab::study::detail
