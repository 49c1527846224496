// Findings about the search: what it may have missed, and for whom.
#include <algorithm>
#include <map>
#include <set>

#include "muonlab/core/text.h"
#include "muonlab/study/audit_internal.h"
#include "muonlab/study/search_keys_internal.h"
#include "muonlab/study/wording_internal.h"

namespace muonlab::study::detail {

namespace {

// One value alone has an edge on both sides, but nothing was looked for.
bool was_searched(const RateSearch& search) {
  return search.grid.size() + search.added.size() > 1;
}

bool any_searched(const Results& results) {
  return std::any_of(results.arms.begin(), results.arms.end(),
                     [](const Arm& arm) { return arm.searched; });
}

void check_edges(const Results& results, Findings& findings) {
  for (const Arm& arm : results.arms) {
    for (const RateSearch& search : arm.searches) {
      if (!search.edge || !was_searched(search)) continue;
      findings.push_back(
          {Concern::kUnfair,
           "Edge optimum: the best " + key_phrase(search.rate) + " of " +
               arm.name + ", " + rate_text(search.best) +
               ", lies at the edge of what was tried" +
               (search.added.empty() ? "" : ", extension trials included") +
               "; a better one may lie beyond it, so " + arm.name +
               " may be under-tuned."});
    }
  }
}

void check_trials(const Results& results, Findings& findings) {
  std::set<int> counts;
  std::vector<std::string> parts;
  const std::vector<std::string> keys = searched_keys(results);
  const bool only_rates = std::all_of(keys.begin(), keys.end(), is_rate);
  for (const Arm& arm : results.arms) {
    if (arm.trials == 0 && arm.searches.empty()) continue;
    counts.insert(arm.trials);
    parts.push_back(arm.name + " " + std::to_string(arm.trials) + " for " +
                    count_text(static_cast<std::int64_t>(arm.searches.size()),
                               only_rates ? "rate" : "key"));
  }
  if (counts.size() < 2) return;
  findings.push_back(
      {Concern::kUnfair,
       "Arms had unequal numbers of search trials: " + list_text(parts) +
           ". More trials find a better setting."});
}

void check_single_values(const Results& results, Findings& findings) {
  std::vector<std::string> parts;
  for (const Arm& arm : results.arms) {
    if (!arm.searched) continue;
    for (const RateSearch& search : arm.searches) {
      if (was_searched(search)) continue;
      parts.push_back("the " + key_phrase(search.rate) + " of " + arm.name +
                      " (" + rate_text(search.best) + ")");
    }
  }
  if (parts.empty()) return;
  findings.push_back({Concern::kUncertain,
                      "Not searched, one value only: " + list_text(parts) +
                          ". Another one may suit an arm better."});
}

void check_search_seeds(const Results& results, Findings& findings) {
  if (results.setup.search_seeds.size() != 1 || !any_searched(results)) return;
  findings.push_back({Concern::kUncertain,
                      "Rates were tuned on a single seed (" +
                          std::to_string(results.setup.search_seeds.front()) +
                          "); another seed might have chosen others."});
}

// Trials whose loss is within one seed's standard deviation of the best cannot
// be ranked by the search.
void check_selection_noise(const Results& results, const ComparisonTable& table,
                           Findings& findings) {
  std::vector<std::string> parts;
  for (const ArmSummary& summary : table.arms) {
    if (!summary.sd || summary.diverged > 0) continue;
    std::vector<double> losses;
    for (const Cell& cell : results.cells) {
      if (cell.arm == summary.arm && competes(cell) && cell.state == "done" &&
          cell.loss) {
        losses.push_back(*cell.loss);
      }
    }
    if (losses.size() < 2) continue;
    const double best = *std::min_element(losses.begin(), losses.end());
    const auto near =
        std::count_if(losses.begin(), losses.end(),
                      [&](double loss) { return loss - best < *summary.sd; }) -
        1;
    if (near == 0) continue;
    parts.push_back(summary.arm + " (" + count_text(near, "other trial") +
                    " within " + loss_text(*summary.sd) + ")");
  }
  if (parts.empty()) return;
  findings.push_back(
      {Concern::kUncertain,
       "Selection noise: in the search, trials lie closer to the best than "
       "the standard deviation over final seeds for " +
           list_text(parts) + "; there the choice among them is partly luck."});
}

// Discarded trials that were finished all the same: did one beat the chosen?
void check_halving(const Results& results, Findings& findings) {
  std::vector<std::string> parts;
  for (const Arm& arm : results.arms) {
    const Cell* chosen = chosen_trial(results, arm);
    const Cell* best = nullptr;
    std::int64_t count = 0;
    for (const Cell& cell : results.cells) {
      if (cell.arm != arm.name || !cell.audit || !counted_loss(cell)) continue;
      ++count;
      if (best == nullptr || *counted_loss(cell) < *counted_loss(*best)) {
        best = &cell;
      }
    }
    if (best == nullptr || chosen == nullptr || !counted_loss(*chosen))
      continue;
    const double gap = *counted_loss(*best) - *counted_loss(*chosen);
    if (gap < 0) {
      findings.push_back(
          {Concern::kUnfair, "The halving discarded a better trial of " +
                                 arm.name + " by " + loss_text(-gap) +
                                 " nats: " + settings_phrase(*best) +
                                 " reached " + loss_text(counted_loss(*best)) +
                                 " after the full length, the chosen trial " +
                                 loss_text(counted_loss(*chosen)) + ", so " +
                                 arm.name + " may be under-tuned."});
    }
    parts.push_back(arm.name + " (" + count_text(count, "audit") +
                    ", the best " + signed_text(gap) + ")");
  }
  if (parts.empty()) return;
  findings.push_back(
      {Concern::kNote,
       "Discarded trials of the halving that were finished all the same, "
       "against the chosen trial in nats: " +
           list_text(parts) + "."});
}

// Settings that come from elsewhere.
void check_given(const Results& results, Findings& findings) {
  std::vector<std::string> given;
  for (const Arm& arm : results.arms) {
    if (!arm.searched) given.push_back(arm.name);
  }
  if (given.empty()) return;
  if (!results.setup.rates_from.empty()) {
    findings.push_back(
        {Concern::kUncertain,
         "Nothing was searched here: every arm has the settings that were "
         "chosen in the case " +
             results.setup.rates_from +
             "; the best ones of this case may be others, and not by the same "
             "amount for every arm."});
    return;
  }
  findings.push_back(
      {Concern::kUnfair,
       "The plan gives the rates of " + list_text(given) +
           "; they were not tuned in this study, and may suit one arm "
           "better."});
}

}  // namespace

void check_search(const Results& results, const ComparisonTable& table,
                  Findings& findings) {
  check_edges(results, findings);
  check_trials(results, findings);
  check_single_values(results, findings);
  check_given(results, findings);
  check_halving(results, findings);
  check_search_seeds(results, findings);
  check_selection_noise(results, table, findings);
}

}  // namespace muonlab::study::detail
