#include "muonlab/study/audit.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "muonlab/core/text.h"
#include "muonlab/statistics/sample.h"
#include "muonlab/study/audit_internal.h"
#include "muonlab/study/wording_internal.h"

namespace muonlab::study {

namespace {

using detail::count_text;
using detail::Findings;
using detail::list_text;
using detail::loss_text;

void check_leak(const Results& results, Findings& findings) {
  if (!results.setup.split_by_windows) return;
  findings.push_back(
      {Concern::kUnfair,
       "Leaky split: held-out windows are windows of the training text, so "
       "the held-out loss measures memory, not learning."});
}

void check_progress(const Results& results, const ComparisonTable& table,
                    Findings& findings) {
  const auto listed = static_cast<std::int64_t>(results.cells.size());
  if (table.complete && table.unfinished == 0 &&
      listed >= detail::planned_cells(results)) {
    return;
  }
  findings.push_back(
      {Concern::kUncertain,
       "The study is incomplete: " +
           core::grouped(detail::ended_cells(results)) + " of " +
           count_text(detail::planned_cells(results), "planned run") +
           " have ended. Numbers may still change."});
}

void check_failures(const Results& results, Findings& findings) {
  std::map<std::string, int> diverged;
  std::map<std::string, int> failed;
  for (const Cell& cell : results.cells) {
    const std::string key = cell.phase + " of " + cell.arm;
    if (cell.state == "diverged") ++diverged[key];
    if (cell.state == "failed") ++failed[key];
  }
  const auto describe = [](const std::map<std::string, int>& counts) {
    std::vector<std::string> parts;
    for (const auto& [key, count] : counts) {
      parts.push_back(std::to_string(count) + " in the " + key);
    }
    return list_text(parts);
  };
  if (!diverged.empty()) {
    findings.push_back({Concern::kUncertain,
                        "Runs diverged (" + describe(diverged) +
                            "); each counts with the loss at initialisation."});
  }
  if (!failed.empty()) {
    findings.push_back({Concern::kUncertain,
                        "Runs failed (" + describe(failed) +
                            "); they count nowhere, and comparisons use the "
                            "seeds that both arms have."});
  }
}

void check_selection_bias(const Results& results, Findings& findings) {
  const Setup& setup = results.setup;
  std::vector<std::uint64_t> reused;
  for (const std::uint64_t seed : setup.final_seeds) {
    if (std::find(setup.search_seeds.begin(), setup.search_seeds.end(), seed) !=
        setup.search_seeds.end()) {
      reused.push_back(seed);
    }
  }
  if (!reused.empty()) {
    findings.push_back(
        {Concern::kUnfair,
         "Selection bias: the final runs reuse the search's seed " +
             detail::seeds_text(reused) + ", on which the rates were chosen."});
  } else if (!setup.search_seeds.empty() && !setup.final_seeds.empty() &&
             std::any_of(results.arms.begin(), results.arms.end(),
                         [](const Arm& arm) { return arm.searched; })) {
    findings.push_back(
        {Concern::kNote,
         "Rates were chosen on search seed " +
             detail::seeds_text(setup.search_seeds) +
             " and the selection half of what is held out; final losses "
             "come from fresh seeds (" +
             detail::seeds_text(setup.final_seeds) +
             ") and the other, reporting half, so the choice does not flatter "
             "them."});
  }
}

void check_schedule(const Results& results, Findings& findings) {
  if (!(results.setup.last_rate_share > 0)) return;
  findings.push_back(
      {Concern::kUncertain,
       "Runs end at " + core::fixed(100 * results.setup.last_rate_share, 0) +
           " % of the peak rate instead of decaying to zero: losses before "
           "the end of a decay compare badly between optimizers."});
}

std::size_t fewest_seeds(const ComparisonTable& table) {
  std::size_t fewest = std::numeric_limits<std::size_t>::max();
  for (const Comparison& comparison : table.comparisons) {
    if (comparison.n() > 0) fewest = std::min(fewest, comparison.n());
  }
  return fewest;
}

void check_seeds(const Results& results, const ComparisonTable& table,
                 Findings& findings) {
  if (results.setup.final_seeds.empty()) {
    findings.push_back(
        {Concern::kUncertain,
         "Single runs only (n = 1 for each setting): there is neither an "
         "interval nor a p value, and the losses shown are those by which the "
         "trials were chosen, which flatters the arm with more trials."});
    return;
  }
  const std::size_t n = fewest_seeds(table);
  if (n == std::numeric_limits<std::size_t>::max()) return;
  if (n < statistics::kFewestForTest) {
    findings.push_back(
        {Concern::kUncertain,
         "With n = " + std::to_string(n) +
             " there is neither an interval nor a p value; at least " +
             std::to_string(statistics::kFewestForTest) +
             " seeds are needed."});
    return;
  }
  const double floor = std::ldexp(1.0, 1 - static_cast<int>(n));
  const auto family = static_cast<double>(table.comparisons.size());
  if (floor * family <= statistics::kAlpha) return;
  std::string text = "With n = " + std::to_string(n) +
                     " the exact sign-flip test cannot go below p = " +
                     detail::significant(floor, 3);
  if (floor <= statistics::kAlpha) {
    text += ", or " + detail::significant(std::min(1.0, floor * family), 3) +
            " after Holm's adjustment for " +
            count_text(static_cast<std::int64_t>(family), "comparison");
  }
  text +=
      ": any smaller p here rests on the paired t test, which takes the "
      "differences between seeds as normally distributed.";
  findings.push_back({Concern::kUncertain, text});
}

void check_data(const Results& results, Findings& findings) {
  const Setup& setup = results.setup;
  if (setup.held_out_tokens > 0 &&
      setup.held_out_tokens < kFewestHeldOutTokens) {
    double error = 0;
    for (const Cell& cell : results.cells) {
      if (cell.phase == "final" && cell.standard_error) {
        error = std::max(error, *cell.standard_error);
      }
    }
    std::string text =
        "Each evaluation predicts " + core::grouped(setup.held_out_tokens) +
        " held-out tokens, fewer than the " +
        core::grouped(kFewestHeldOutTokens) + " that the protocol asks for";
    if (error > 0) {
      text +=
          "; the standard error of one loss over held-out windows is up "
          "to " +
          loss_text(error) +
          " nats (all arms predict the same tokens, so differences are "
          "surer than that)";
    }
    findings.push_back({Concern::kUncertain, text + "."});
  }
  const std::int64_t tokens = detail::tokens_per_run(setup);
  if (setup.train_tokens > 0 && tokens > setup.train_tokens) {
    findings.push_back(
        {Concern::kUncertain,
         "Training repeats its text: " + core::grouped(tokens) +
             " tokens are " +
             core::fixed(static_cast<double>(tokens) /
                             static_cast<double>(setup.train_tokens),
                         2) +
             " epochs of the training split. Optimizers may differ in how "
             "they stand repetition."});
  }
}

void note_scope(const Results& results, Findings& findings) {
  const Setup& setup = results.setup;
  const std::int64_t tokens = detail::tokens_per_run(setup);
  if (setup.parameters > 0 && tokens > 0) {
    const double ratio =
        static_cast<double>(tokens) / static_cast<double>(setup.parameters);
    std::string text = "One model size (" + core::grouped(setup.parameters) +
                       " parameters) and one horizon (" +
                       core::grouped(tokens) + " tokens, " +
                       detail::significant(ratio, 2) + " per parameter)";
    if (ratio < kUsualTokensPerParameter) {
      text += ", shorter than the usual " +
              core::fixed(kUsualTokensPerParameter, 0) + " per parameter";
    }
    findings.push_back({Concern::kUncertain,
                        text + (setup.case_name.empty()
                                    ? ": the study does not show how the "
                                      "difference changes with size or "
                                      "training length."
                                    : ": this case alone does not show how the "
                                      "difference changes with size or "
                                      "training length; the study's overview "
                                      "has its other cases.")});
  }
  if (setup.parameters > 0 && setup.hidden_parameters > 0 &&
      2 * setup.hidden_parameters < setup.parameters) {
    findings.push_back(
        {Concern::kNote,
         "Only " +
             detail::percent_text(static_cast<double>(setup.hidden_parameters) /
                                  static_cast<double>(setup.parameters)) +
             " of the parameters are hidden matrices, the part on which the "
             "arms' rules differ."});
  }
  if (!setup.not_tuned.empty()) {
    findings.push_back(
        {Concern::kUncertain,
         "Not tuned, the same for every arm: " + list_text(setup.not_tuned) +
             ". The values may suit one arm better."});
  }
}

void note_timing(const Results& results, Findings& findings) {
  std::map<std::string, int> runs;
  for (const Cell& cell : results.cells) {
    if (cell.phase == "timing" && cell.step_time) ++runs[cell.arm];
  }
  if (runs.empty()) {
    findings.push_back({Concern::kNote,
                        "No timing runs were made: wall times are those of "
                        "runs that may have shared the machine, and are no "
                        "basis for a comparison of speed."});
    return;
  }
  const bool single =
      std::all_of(runs.begin(), runs.end(),
                  [](const auto& run) { return run.second == 1; });
  if (single) {
    findings.push_back({Concern::kNote,
                        "Step times come from one timing run per arm, so they "
                        "have no interval."});
  }
}

}  // namespace

const char* name_of(Concern concern) noexcept {
  switch (concern) {
    case Concern::kUnfair:
      return "unfair";
    case Concern::kUncertain:
      return "uncertain";
    case Concern::kNote:
      return "note";
  }
  return "note";
}

std::vector<Finding> audit(const Results& results,
                           const ComparisonTable& table) {
  Findings findings;
  check_leak(results, findings);
  check_progress(results, table, findings);
  detail::check_search(results, table, findings);
  check_failures(results, findings);
  check_selection_bias(results, findings);
  check_seeds(results, table, findings);
  check_data(results, findings);
  note_scope(results, findings);
  check_schedule(results, findings);
  note_timing(results, findings);
  std::stable_sort(
      findings.begin(), findings.end(), [](const Finding& a, const Finding& b) {
        return static_cast<int>(a.concern) < static_cast<int>(b.concern);
      });
  return findings;
}

}  // namespace muonlab::study
