// Sections on what changes with size and with data: scaling, data speed-up.
#include <cmath>

#include "muonlab/core/text.h"
#include "muonlab/study/overview_figures_internal.h"
#include "muonlab/study/wording_internal.h"

namespace muonlab::study::detail {

namespace {

std::string interval_or_none(const std::optional<statistics::Bootstrap>& of) {
  if (!of) return kNone;
  const auto& interval = of->bca ? of->bca : of->percentile;
  return interval ? core::fixed(interval->low, 3) + " to " +
                        core::fixed(interval->high, 3)
                  : kNone;
}

Table law_table(const Overview& overview) {
  Table table;
  table.heading = {"arm",
                   "sizes",
                   "E",
                   "A",
                   "alpha",
                   "95 % interval of alpha",
                   "alpha − " + overview.study->setup.baseline + "'s",
                   "remark"};
  for (const Arm& arm : overview.first().arms) {
    const auto runs = size_runs(overview, arm.name);
    const auto& fit = overview.scaling.at(arm.name);
    table.colors.push_back(arm_color(arm.name, overview.first().arms));
    if (!fit) {
      table.rows.push_back({arm.name, std::to_string(runs.size()), kNone, kNone,
                            kNone, kNone, kNone,
                            runs.size() < statistics::kFewestForPowerLaw
                                ? "too few sizes for a law"
                                : "the loss does not fall with size"});
      continue;
    }
    const bool known = fit->law.determined();
    table.rows.push_back(
        {arm.name, std::to_string(runs.size()),
         known ? loss_text(fit->law.floor) : kNone,
         known ? significant(fit->law.amplitude, 4) : kNone,
         known ? core::fixed(fit->law.exponent, 3) : kNone,
         known ? interval_or_none(fit->alpha) : kNone,
         arm.name == overview.study->setup.baseline
             ? kNone
             : interval_or_none(exponent_difference(overview, arm.name)),
         known ? "" : "these sizes do not determine the law"});
  }
  return table;
}

Table trend_table(const Overview& overview) {
  Table table;
  table.heading = {"arm − " + overview.study->setup.baseline, "sizes",
                   "change per doubling", "95 % interval", "p"};
  for (const Arm& arm : overview.first().arms) {
    const auto trend = difference_trend(overview, arm.name);
    if (arm.name == overview.study->setup.baseline || !trend) continue;
    const double octave = std::log(2.0);
    table.rows.push_back({arm.name, core::fixed(trend->df + 2, 0),
                          signed_text(octave * trend->slope),
                          trend->interval
                              ? interval_text({octave * trend->interval->low,
                                               octave * trend->interval->high})
                              : kNone,
                          p_text(trend->p)});
    table.colors.push_back(arm_color(arm.name, overview.first().arms));
  }
  return table;
}

std::string method_text(const statistics::DataSpeedup& value) {
  std::string text = value.method == statistics::SpeedupMethod::kPowerLaw
                         ? "power law"
                         : "interpolated: fewer than four lengths";
  if (value.undetermined) text += "; law not determined, not to be relied on";
  if (value.extrapolated) text += "; extrapolated beyond the lengths run";
  return text;
}

}  // namespace

Section scaling_section(const Overview& overview) {
  Section section{"What changes with size", {}};
  if (!overview.has_sizes() || !overview.has_final_runs()) return section;
  Table laws = law_table(overview);
  if (overview.cases.size() >= statistics::kFewestForPowerLaw) {
    section.blocks.emplace_back(std::move(laws));
    section.blocks.emplace_back(Paragraph{
        "L(N) = E + A N^-alpha by least squares through the mean losses, N all "
        "parameters; intervals: bootstrap over seeds, too narrow below eight "
        "of them, none below three. It holds for these sizes at these tokens "
        "per parameter and nowhere else."});
  }
  Table trends = trend_table(overview);
  if (!trends.rows.empty()) {
    section.blocks.emplace_back(std::move(trends));
    section.blocks.emplace_back(Paragraph{
        "Straight line of the mean difference against the logarithm of the "
        "parameters, nats per doubling; t test of its slope with sizes − 2 "
        "degrees of freedom. Negative: the arm gains with size."});
  }
  if (overview.cases.size() < statistics::kFewestForPowerLaw) {
    section.blocks.emplace_back(Paragraph{
        "With " +
        count_text(static_cast<std::int64_t>(overview.cases.size()), "size") +
        " this is a trend at best, no scaling law: a law needs four."});
  }
  return section;
}

Section speedup_section(const Overview& overview,
                        const std::vector<CaseSpeedup>& speedups) {
  Section section{"Data speed-up", {}};
  if (speedups.empty()) return section;
  Table table;
  table.heading = {
      "case",     "arm",          "method", "lengths", "n", "baseline's tokens",
      "speed-up", "95 % interval"};
  table.text_columns = 3;
  for (const CaseSpeedup& one : speedups) {
    const CaseView& view = overview.cases[one.place];
    const bool known = one.value && one.value->speedup;
    const auto interval = interval_of(one);
    table.rows.push_back(
        {view.setup().case_name, one.arm,
         !one.problem.empty() ? one.problem
         : known              ? method_text(*one.value)
                              : "the baseline reaches this loss at no length",
         std::to_string(one.horizons), std::to_string(one.seeds),
         known ? core::grouped(std::llround(*one.value->reference_horizon))
               : kNone,
         known ? core::fixed(*one.value->speedup, 3) : kNone,
         interval ? core::fixed(interval->low, 3) + " to " +
                        core::fixed(interval->high, 3)
                  : kNone});
    table.links.push_back(view.setup().case_name + "/report.html");
    table.colors.push_back(arm_color(one.arm, view.results->arms));
  }
  section.blocks.emplace_back(std::move(table));
  section.blocks.emplace_back(Paragraph{
      "The baseline ran at several lengths, each fully decayed, at its rates "
      "for the full one. Baseline's tokens: what it needs for the arm's final "
      "loss; speed-up: that over the arm's own tokens; above 1 the arm needs "
      "less data. Interval: bootstrap over seeds, resampled for all lengths "
      "and both arms at once; too narrow below eight seeds, none below "
      "three."});
  return section;
}

}  // namespace muonlab::study::detail
