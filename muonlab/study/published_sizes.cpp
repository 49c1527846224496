// Experiment 2 of the published study: its table from our runs.
#include <algorithm>
#include <array>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>

#include "muonlab/core/text.h"
#include "muonlab/statistics/sample.h"
#include "muonlab/statistics/t_tests.h"
#include "muonlab/study/published_internal.h"
#include "muonlab/study/step_times_internal.h"
#include "muonlab/study/wording_internal.h"

namespace muonlab::study::detail {

namespace {

constexpr std::array<const char*, 4> kMetrics = {"loss", "accuracy",
                                                 "perplexity", "time"};
// Its threshold for "increases with model size".
constexpr double kTrend = 0.5;

struct Pair {
  const Arm* adamw = nullptr;
  const Arm* muon = nullptr;
};

// Each AdamW against each Muon: at a smaller scale there are two AdamW.
std::vector<Pair> pairs_of(const Results& results) {
  std::vector<Pair> pairs;
  for (const Arm& adamw : results.arms) {
    for (const Arm& muon : results.arms) {
      if (adamw.rule == "adamw" && muon.rule == "muon") {
        pairs.push_back({&adamw, &muon});
      }
    }
  }
  return pairs;
}

// Four decimals, seconds one.
std::string plus_minus(double mean, double sd, const std::string& metric) {
  const int digits = metric == "time" ? 1 : 4;
  return core::fixed(mean, digits) + " ± " + core::fixed(sd, digits);
}

std::string as_printed(const std::vector<double>& values,
                       const std::string& metric) {
  if (values.empty()) return kNone;
  return plus_minus(statistics::mean(values),
                    statistics::population_deviation(values), metric);
}

std::string percent(double value) {
  return (value > 0 ? "+" : "") + fixed_text(value, 1) + " %";
}

// "ours (theirs)".
std::string beside(const std::string& ours, const std::string& theirs) {
  return ours + " (" + theirs + ")";
}

// The paired difference by seed with its interval, or why there is none.
std::string honest_text(const CaseView& view, const Pair& pair,
                        const std::string& metric) {
  const auto adamw = final_values(*view.results, pair.adamw->name, metric);
  const auto muon = final_values(*view.results, pair.muon->name, metric);
  const ArmSummary* first = view.summary(pair.adamw->name);
  const ArmSummary* second = view.summary(pair.muon->name);
  const bool paired =
      first != nullptr && second != nullptr && first->seeds == second->seeds &&
      adamw.size() == first->seeds.size() && muon.size() == adamw.size();
  if (!paired || adamw.empty()) return "none: seeds differ or are missing";
  if (adamw.size() < statistics::kFewestForTest) {
    return "n = " + std::to_string(adamw.size()) + ": none";
  }
  const statistics::TTest test = statistics::paired_t_test(muon, adamw);
  return test.interval ? interval_text(*test.interval) : "no spread";
}

std::optional<double> improvement_of(const CaseView& view, const Pair& pair,
                                     const std::string& metric) {
  const auto first = final_values(*view.results, pair.adamw->name, metric);
  const auto second = final_values(*view.results, pair.muon->name, metric);
  if (first.empty() || second.empty()) return std::nullopt;
  return improvement_percent(metric, statistics::mean(first),
                             statistics::mean(second));
}

Table size_table(const Overview& overview, const Pair& pair) {
  Table table;
  table.heading = {"size",
                   "metric",
                   pair.adamw->name,
                   pair.muon->name,
                   "published AdamW",
                   "published Muon",
                   "improvement (published)",
                   "p (published)",
                   "95 % interval"};
  table.text_columns = 2;
  for (const CaseView& view : overview.cases) {
    const std::string& size = view.setup().case_name;
    for (const std::string metric : kMetrics) {
      const auto first = final_values(*view.results, pair.adamw->name, metric);
      const auto second = final_values(*view.results, pair.muon->name, metric);
      const auto better = improvement_of(view, pair, metric);
      const auto p = pooled_p(first, second);
      const PublishedSize* theirs = published_size(size, metric);
      table.rows.push_back(
          {size, metric, as_printed(first, metric), as_printed(second, metric),
           theirs ? plus_minus(theirs->adamw, theirs->adamw_sd, metric) : kNone,
           theirs ? plus_minus(theirs->muon, theirs->muon_sd, metric) : kNone,
           beside(better ? percent(*better) : kNone,
                  theirs ? percent(theirs->improvement) : kNone),
           beside(p ? core::fixed(*p, 3) : kNone, theirs ? theirs->p : kNone),
           honest_text(view, pair, metric)});
      table.links.push_back(size + "/report.html");
    }
  }
  return table;
}

std::vector<double> improvements(const Overview& overview, const Pair& pair,
                                 const std::string& metric) {
  std::vector<double> values;
  for (const CaseView& view : overview.cases) {
    const auto one = improvement_of(view, pair, metric);
    if (one) values.push_back(*one);
  }
  return values;
}

Table overall_table(const Overview& overview, const Pair& pair) {
  Table table;
  table.heading = {"over sizes", "improvement", "p, one sample", "published",
                   "published p"};
  for (const PublishedOverall& theirs : published_overall()) {
    const auto values = improvements(overview, pair, theirs.metric);
    std::optional<double> p;
    if (values.size() >= 2) p = statistics::one_sample_t_test(values, 0).p;
    table.rows.push_back(
        {theirs.metric,
         values.empty()
             ? kNone
             : fixed_text(statistics::mean(values), 2) + " ± " +
                   core::fixed(statistics::population_deviation(values), 2) +
                   " %",
         p ? core::fixed(*p, 3) : kNone,
         fixed_text(theirs.improvement, 2) + " ± " + core::fixed(theirs.sd, 2) +
             " %",
         theirs.p});
  }
  return table;
}

// Its rules for who wins, and for a trend with size.
std::string rules_text(const Overview& overview, const Pair& pair) {
  int wins = 0;
  std::vector<double> sizes;
  std::vector<double> better;
  for (const CaseView& view : overview.cases) {
    const auto one = improvement_of(view, pair, "accuracy");
    if (!one) continue;
    if (*one > 0) ++wins;
    sizes.push_back(static_cast<double>(view.setup().parameters));
    better.push_back(*one);
  }
  std::string text =
      "By its rules " + pair.muon->name + " wins " + std::to_string(wins) +
      " of " + count_text(static_cast<std::int64_t>(sizes.size()), "size") +
      " (higher mean held-out accuracy; published: 3 of 4)";
  if (sizes.size() < 2) return text + ".";
  const auto r = statistics::pearson(sizes, better);
  if (!r) return text + "; without spread there is no correlation.";
  const bool grows = r->r > kTrend && r->p && *r->p < statistics::kAlpha;
  return text + ", and the accuracy gain " +
         (grows ? "increases with model size"
                : "shows no clear trend with model size") +
         " (Pearson r = " + fixed_text(r->r, 3) +
         (r->p ? ", " + p_equation(*r->p) : "") +
         "; published: r = 0.934, p = 0.066, \"no clear scaling trend\"). "
         "Sizes differ in depth, heads, batch and number of updates as well.";
}

Table overhead_table(const Overview& overview, const Pair& pair) {
  Table table;
  table.heading = {"size", "total time, as the study computed it", "published",
                   "step time, timing runs", "optimizer's extra per step"};
  for (const CaseView& view : overview.cases) {
    const auto first = final_values(*view.results, pair.adamw->name, "time");
    const auto second = final_values(*view.results, pair.muon->name, "time");
    const PublishedSize* theirs =
        published_size(view.setup().case_name, "time");
    const StepTime* adamw = nullptr;
    const StepTime* muon = nullptr;
    const std::vector<ArmStepTime> times = step_times(*view.results);
    for (const ArmStepTime& one : times) {
      if (one.arm == pair.adamw->name) adamw = &one.time;
      if (one.arm == pair.muon->name) muon = &one.time;
    }
    const bool timed = adamw != nullptr && muon != nullptr && total(*adamw) > 0;
    table.rows.push_back(
        {view.setup().case_name,
         first.empty() || second.empty() || statistics::mean(first) <= 0
             ? kNone
             : percent(
                   100 *
                   (statistics::mean(second) / statistics::mean(first) - 1)),
         theirs ? percent(100 * (theirs->muon / theirs->adamw - 1)) : kNone,
         timed ? percent(100 * (total(*muon) / total(*adamw) - 1)) : kNone,
         timed ? core::fixed(1e3 * (muon->optimizer - adamw->optimizer), 1) +
                     " ms"
               : kNone});
    table.links.push_back(view.setup().case_name + "/report.html");
  }
  return table;
}

}  // namespace

std::vector<double> final_values(const Results& results, const std::string& arm,
                                 const std::string& metric) {
  std::vector<const Cell*> cells;
  for (const Cell& cell : results.cells) {
    if (cell.phase == "final" && cell.arm == arm && cell.state == "done") {
      cells.push_back(&cell);
    }
  }
  std::stable_sort(
      cells.begin(), cells.end(),
      [](const Cell* a, const Cell* b) { return a->seed < b->seed; });
  std::vector<double> values;
  for (const Cell* cell : cells) {
    std::optional<double> value;
    if (metric == "accuracy") value = cell->accuracy;
    if (metric == "time") value = cell->wall_seconds;
    if (metric == "loss") value = cell->loss;
    if (metric == "perplexity" && cell->loss) {
      value = capped_perplexity(*cell->loss);
    }
    if (value && std::isfinite(*value)) values.push_back(*value);
  }
  return values;
}

double improvement_percent(const std::string& metric, double first,
                           double second) {
  return 100 * (metric == "accuracy" ? second - first : first - second) / first;
}

std::optional<double> pooled_p(const std::vector<double>& first,
                               const std::vector<double>& second) {
  if (first.size() < 2 || second.size() < 2) return std::nullopt;
  const statistics::TTest test = statistics::pooled_t_test(first, second);
  if (!test.spread) return std::nullopt;
  const boost::math::students_t distribution(test.df);
  return 2 * cdf(complement(distribution,
                            std::abs(test.difference) / test.standard_error));
}

Section published_sizes_section(const Overview& overview) {
  Section section{"As the published study computed it", {}};
  if (overview.study->setup.report != kSecondStudy) return section;
  section.blocks.emplace_back(Paragraph{
      "The tables of its Experiment 2 by the study's own formulas, from our "
      "runs, beside what it published (vukrosic/muon-optimizer-research, "
      "commit b093d08; n = 2, seeds 42 and 1042)."});
  for (const Pair& pair : pairs_of(overview.first())) {
    section.blocks.emplace_back(
        Subheading{pair.muon->name + " against " + pair.adamw->name});
    section.blocks.emplace_back(size_table(overview, pair));
    section.blocks.emplace_back(overall_table(overview, pair));
    section.blocks.emplace_back(Paragraph{rules_text(overview, pair)});
    section.blocks.emplace_back(overhead_table(overview, pair));
  }
  section.blocks.emplace_back(Paragraph{
      "±: standard deviation with n in the denominator, which understates the "
      "spread of two runs by a factor of 1.41. Improvement: by how much of "
      "AdamW's value Muon's is better, positive for Muon. p: Student's pooled "
      "t test, neither paired nor adjusted for the number of tests; with two "
      "runs each it has two degrees of freedom, and elsewhere in this report "
      "n = 2 has no p at all. Last column: 95 % interval of Muon minus AdamW, "
      "paired by seed, from three seeds on. Total time includes what shared "
      "the machine; the step time comes from runs that had it to "
      "themselves."});
  return section;
}

}  // namespace muonlab::study::detail
