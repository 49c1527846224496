#include "muonlab/study/verdict.h"

#include <algorithm>
#include <cmath>

#include "muonlab/core/text.h"
#include "muonlab/statistics/sample.h"
#include "muonlab/study/search_keys_internal.h"
#include "muonlab/study/wording_internal.h"

namespace muonlab::study {

namespace {

using detail::count_text;
using detail::interval_text;
using detail::loss_text;
using detail::p_equation;

// How much a clause spells out: the first one all, the others what differs.
struct Style {
  bool first = true;
  bool same_n = true;  // all comparisons have the same number of seeds
};

// The interval of how far ahead or behind, both ends without sign when both
// lie on the side that the words name.
std::string certainty(const Comparison& c, const Style& style) {
  const statistics::Interval& interval = *c.test->interval;
  const double low = std::abs(interval.low);
  const double high = std::abs(interval.high);
  const bool one_sided = interval.low > 0 || interval.high < 0;
  std::string text = "95 % interval ";
  text += one_sided && c.established()
              ? loss_text(std::min(low, high)) + " to " +
                    loss_text(std::max(low, high))
              : interval_text(interval);
  if (style.first || !style.same_n) {
    text += ", paired t over " +
            count_text(static_cast<std::int64_t>(c.n()), "seed");
  }
  return text + ", Holm-adjusted " + p_equation(*c.p_holm);
}

// "0.0312 nats per token (0.60 % of its loss, 0.0112 bits per byte; ...)".
std::string amount(const Comparison& c, const Style& style) {
  std::string text = loss_text(std::abs(*c.difference));
  if (style.first) text += " nats per token";
  text += " (";
  if (style.first) {
    text += core::fixed(
                100 * std::abs(*c.difference) / std::abs(*c.baseline_mean), 2) +
            " % of the baseline's loss";
    if (c.bits_per_byte_difference) {
      text += ", " + loss_text(std::abs(*c.bits_per_byte_difference)) +
              " bits per byte";
    }
    text += "; ";
  }
  return text + certainty(c, style) + ")";
}

// Not established: the words must claim neither a lead nor equality.
std::string undecided(const Comparison& c, const std::string& baseline,
                      const Style& style) {
  const std::string seeds =
      count_text(static_cast<std::int64_t>(c.n()), "common seed");
  if (c.n() == 0) {
    return c.arm + " has no finished run to compare with " + baseline;
  }
  const std::string difference = detail::signed_text(*c.difference) +
                                 (style.first ? " nats per token" : "");
  if (c.n() < statistics::kFewestForTest) {
    return "the mean difference of " + c.arm + " to " + baseline + " is " +
           difference + " (" + seeds +
           ": too few for an interval or a test, so this says nothing about "
           "other seeds)";
  }
  if (!c.test->spread) {
    return *c.difference == 0
               ? c.arm + " has exactly the loss of " + baseline +
                     " in each of " + seeds
               : c.arm + " differs from " + baseline +
                     " by the same amount in each of " + seeds + ", " +
                     difference + " (without spread there is no test)";
  }
  std::string text = c.arm + " cannot be told apart from " + baseline +
                     " (difference " + difference + ", " + certainty(c, style) +
                     ")";
  if (*c.test->p < statistics::kAlpha) {
    text +=
        ", although its interval, which is not adjusted for the number of "
        "comparisons, leaves out zero";
  }
  return text;
}

std::string clause(const Comparison& c, const std::string& baseline,
                   const Style& style) {
  if (!c.established()) return undecided(c, baseline, style);
  return c.arm + (*c.difference < 0 ? " is ahead of " : " is behind ") +
         baseline + " by " + amount(c, style);
}

const ArmSummary* lowest_mean(const ComparisonTable& table) {
  const ArmSummary* lowest = nullptr;
  for (const ArmSummary& arm : table.arms) {
    if (!arm.mean_loss) continue;
    if (lowest == nullptr || *arm.mean_loss < *lowest->mean_loss) {
      lowest = &arm;
    }
  }
  return lowest;
}

std::vector<std::string> remarks(const ComparisonTable& table,
                                 const std::vector<const Comparison*>& order) {
  std::vector<std::string> lines;
  const ArmSummary* lowest = lowest_mean(table);
  if (lowest != nullptr && table.arms.size() > 1) {
    std::string text = "The lowest mean loss, " +
                       loss_text(*lowest->mean_loss) +
                       " nats per token, is that of " + lowest->arm + ".";
    if (table.arms.size() > 2) {
      text += " Only comparisons with " + table.baseline +
              " were tested; the other arms were not tested against each "
              "other.";
    }
    lines.push_back(text);
  }
  const bool undecided_pair = std::any_of(
      order.begin(), order.end(),
      [](const Comparison* c) { return c->p_holm && !c->established(); });
  if (undecided_pair) {
    lines.push_back(
        "\"Cannot be told apart\" is not evidence that two arms are equal: "
        "the interval says which differences remain possible.");
  }
  for (const Comparison& comparison : table.comparisons) {
    for (const std::string& warning : comparison.warnings) {
      const std::string line = "About " + comparison.arm + " against " +
                               table.baseline + ": " + warning + ".";
      if (std::find(lines.begin(), lines.end(), line) == lines.end()) {
        lines.push_back(line);
      }
    }
  }
  return lines;
}

Verdict unfinished(const Results& results, const ComparisonTable& table) {
  const std::string progress =
      core::grouped(detail::ended_cells(results)) + " of " +
      count_text(detail::planned_cells(results), "run");
  Verdict verdict;
  verdict.sentence =
      "This study is not finished (" + progress +
      " have ended): no arm has final runs with the same seeds as " +
      table.baseline + ", so nothing can be said yet about who is ahead.";
  return verdict;
}

// A study without final seeds: its search alone, nothing to test.
Verdict of_single_runs(const Results& results, const std::string& after) {
  struct Best {
    double loss = 0;
    std::string text;
  };
  std::vector<Best> best;
  for (const Arm& arm : results.arms) {
    const Cell* cell = detail::chosen_trial(results, arm);
    if (cell == nullptr || !counted_loss(*cell)) continue;
    best.push_back({*counted_loss(*cell),
                    arm.name + " " + loss_text(*counted_loss(*cell)) + " (" +
                        detail::settings_phrase(*cell) + ")"});
  }
  std::stable_sort(best.begin(), best.end(), [](const Best& a, const Best& b) {
    return a.loss < b.loss;
  });
  std::vector<std::string> parts;
  for (const Best& one : best) parts.push_back(one.text);
  Verdict verdict;
  verdict.sentence =
      after +
      "the best single run of each arm has a held-out loss in nats "
      "per token of: " +
      core::join(parts, "; ") + ". Only single runs exist (n = 1, seed " +
      detail::seeds_text(results.setup.search_seeds) +
      "), so this says nothing about other seeds.";
  verdict.remarks = {
      "There is no p value and no interval: nothing was repeated. These are "
      "the losses by which the trials were chosen, and more trials find a "
      "lower one by luck alone."};
  return verdict;
}

}  // namespace

Verdict verdict(const Results& results, const ComparisonTable& table) {
  std::vector<const Comparison*> order;
  for (const Comparison& comparison : table.comparisons) {
    order.push_back(&comparison);
  }
  const std::string after =
      "After the same " + core::grouped(detail::tokens_per_run(results.setup)) +
      " tokens, ";
  Verdict verdict;
  const bool single_runs =
      results.setup.final_seeds.empty() &&
      std::any_of(results.arms.begin(), results.arms.end(),
                  [&](const Arm& arm) {
                    return detail::chosen_trial(results, arm) != nullptr;
                  });
  if (single_runs) return of_single_runs(results, after);
  if (order.empty()) {
    const ArmSummary* only = lowest_mean(table);
    verdict.sentence =
        only == nullptr
            ? "This study is not finished and has one arm only, " +
                  table.baseline + ": nothing can be compared."
            : after + only->arm + " reaches " + loss_text(*only->mean_loss) +
                  " nats per token (mean of " +
                  count_text(static_cast<std::int64_t>(only->seeds.size()),
                             "seed") +
                  "); it is the only arm, so nothing is compared.";
    return verdict;
  }
  const bool any = std::any_of(order.begin(), order.end(),
                               [](const Comparison* c) { return c->n() > 0; });
  if (!any) return unfinished(results, table);

  // Established comparisons first, the furthest ahead in front.
  std::stable_sort(
      order.begin(), order.end(), [](const Comparison* a, const Comparison* b) {
        if (a->established() != b->established()) {
          return a->established();
        }
        return a->difference.value_or(1e300) < b->difference.value_or(1e300);
      });
  std::vector<std::string> clauses;
  const bool all_behind =
      std::all_of(order.begin(), order.end(), [](const Comparison* c) {
        return c->established() && *c->difference > 0;
      });
  const bool none =
      std::none_of(order.begin(), order.end(),
                   [](const Comparison* c) { return c->established(); });
  std::string opening = after;
  const bool tested =
      std::all_of(order.begin(), order.end(),
                  [](const Comparison* c) { return c->p_holm.has_value(); });
  if (all_behind && order.size() > 1) {
    opening += "the baseline " + table.baseline +
               " is ahead of every other "
               "arm: ";
  } else if (none && tested && order.size() > 1) {
    opening += "no arm can be told apart from " + table.baseline + ": ";
  }
  Style style;
  style.same_n = std::all_of(
      order.begin(), order.end(),
      [&](const Comparison* c) { return c->n() == order.front()->n(); });
  for (const Comparison* comparison : order) {
    clauses.push_back(clause(*comparison, table.baseline, style));
    style.first = false;
  }
  verdict.sentence = opening + core::join(clauses, "; ") + ".";
  if (!table.complete) {
    verdict.sentence =
        "This study is not finished; so far: " + verdict.sentence;
  }
  verdict.remarks = remarks(table, order);
  return verdict;
}

}  // namespace muonlab::study
