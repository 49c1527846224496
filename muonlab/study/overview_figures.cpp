// Figures over the cases of a study: losses, differences, data speed-up.
#include <algorithm>
#include <cmath>

#include "muonlab/core/text.h"
#include "muonlab/statistics/sample.h"
#include "muonlab/study/overview_figures_internal.h"
#include "muonlab/study/wording_internal.h"

namespace muonlab::study::detail {

namespace {

constexpr int kRowHeight = 24;  // pixels for each arm of a case
constexpr int kCasePad = 16;
// Losses that differ by more than this factor are drawn on a log axis.
constexpr double kLogFactor = 3;

Json case_rows(const Overview& overview) {
  Json names = Json::array();
  for (const CaseView& view : overview.cases) names.push_back(label_of(view));
  return {
      {"field", "case"},
      {"type", "nominal"},
      {"title", nullptr},
      {"sort", names},
      {"axis", {{"labelFontSize", 13}, {"labelLimit", 150}, {"grid", true}}}};
}

Json arm_offset(const Overview& overview, bool with_baseline) {
  Json names = Json::array();
  for (const Arm& arm : overview.first().arms) {
    if (with_baseline || arm.name != overview.study->setup.baseline) {
      names.push_back(arm.name);
    }
  }
  return {{"field", "arm"}, {"type", "nominal"}, {"sort", names}};
}

int rows_height(const Overview& overview, std::size_t arms) {
  return static_cast<int>(overview.cases.size()) *
         (kRowHeight * static_cast<int>(arms) + kCasePad);
}

Json arm_legend(const Overview& overview, bool with_baseline) {
  Json color = arm_color_channel(overview.first());
  if (!with_baseline) {
    color["legend"] = {{"values", arm_offset(overview, false)["sort"]}};
  }
  return color;
}

void differences_by_case(const Overview& overview,
                         std::vector<Figure>& figures) {
  Json dots = Json::array();
  Json means = Json::array();
  for (const CaseView& view : overview.cases) {
    for (const Comparison& c : view.table.comparisons) {
      if (!c.difference) continue;
      for (std::size_t i = 0; i < c.n(); ++i) {
        dots.push_back({{"case", label_of(view)},
                        {"arm", c.arm},
                        {"seed", c.seeds[i]},
                        {"difference", c.differences[i]}});
      }
      means.push_back(difference_row(c, {{"case", label_of(view)}}));
    }
  }
  if (means.empty()) return;
  const std::string& baseline = overview.study->setup.baseline;
  const Json x = {
      {"field", "difference"},
      {"type", "quantitative"},
      {"title", "difference to " + baseline + ", nats per token (left: ahead)"},
      {"scale", {{"padding", 12}}},
      {"axis",
       {{"format", "+.3~f"},
        {"labelExpr", "datum.value == 0 ? '0' : datum.label"},
        {"tickCount", {{"expr", "clamp(width / 80, 3, 7)"}}}}}};
  Json spec = dot_plot(overview, dots, means, x, false);
  const Json zero = {
      {"data", {{"values", {{{"difference", 0}}}}}},
      {"mark",
       {{"type", "rule"}, {"color", "currentColor"}, {"strokeWidth", 1.5}}},
      {"encoding", {{"x", x}}}};
  spec["layer"].insert(spec["layer"].begin(), zero);
  figures.push_back(
      {"differences-by-case", "Differences to " + baseline + " by case",
       "Does who is ahead depend on the case? Final held-out loss minus that "
       "of " +
           baseline +
           " at the same seed (dots), mean (diamond), 95 % paired t interval "
           "(bar; none below three seeds; not adjusted for the number of "
           "comparisons); " +
           overview_phrase(overview) + ".",
       dump(spec)});
}

void losses_by_case(const Overview& overview, std::vector<Figure>& figures) {
  Json dots = Json::array();
  Json means = Json::array();
  double low = HUGE_VAL;
  double high = 0;
  for (const CaseView& view : overview.cases) {
    for (const ArmSummary& arm : view.table.arms) {
      for (std::size_t i = 0; i < arm.losses.size(); ++i) {
        dots.push_back({{"case", label_of(view)},
                        {"arm", arm.arm},
                        {"seed", arm.seeds[i]},
                        {"loss", arm.losses[i]}});
        low = std::min(low, arm.losses[i]);
        high = std::max(high, arm.losses[i]);
      }
      if (!arm.mean_loss) continue;
      means.push_back({{"case", label_of(view)},
                       {"arm", arm.arm},
                       {"loss", *arm.mean_loss}});
    }
  }
  if (means.empty()) return;
  const bool logarithmic = low > 0 && high / low > kLogFactor;
  Json scale = {{"padding", 12}};
  if (logarithmic) {
    scale["type"] = "log";
    scale["nice"] = false;
  } else {
    scale["zero"] = false;
  }
  const Json x = {
      {"field", "loss"},
      {"type", "quantitative"},
      {"title", std::string("final held-out loss, nats per token") +
                    (logarithmic ? " (logarithmic)" : "")},
      {"scale", scale},
      {"axis", {{"tickCount", {{"expr", "clamp(width / 80, 3, 7)"}}}}}};
  figures.push_back(
      {"losses-by-case", "Final loss by case and arm",
       "How good is each arm in each case? Final held-out loss of every seed "
       "(dots) and their mean (diamond); " +
           overview_phrase(overview) + ".",
       dump(dot_plot(overview, dots, means, x, true))});
}

}  // namespace

Json difference_row(const Comparison& comparison, Json row) {
  row["arm"] = comparison.arm;
  row["difference"] = *comparison.difference;
  if (comparison.test && comparison.test->interval) {
    row["low"] = comparison.test->interval->low;
    row["high"] = comparison.test->interval->high;
  }
  return row;
}

std::string label_of(const CaseView& view) {
  return view.setup().case_name.empty() ? view.setup().name
                                        : view.setup().case_name;
}

Json dot_plot(const Overview& overview, const Json& dots, const Json& means,
              Json x, bool with_baseline) {
  const std::size_t arms =
      overview.first().arms.size() - (with_baseline ? 0 : 1);
  const Json y = case_rows(overview);
  const Json offset = arm_offset(overview, with_baseline);
  const Json color = arm_legend(overview, with_baseline);
  const std::string field = x["field"].get<std::string>();
  Json low = x;
  low["field"] = "low";
  const Json place = {
      {"x", x}, {"y", y}, {"yOffset", offset}, {"color", color}};
  Json tips = place;
  tips["tooltip"] = {
      {{"field", "case"}},
      {{"field", "arm"}},
      {{"field", "seed"}},
      {{"field", field}, {"type", "quantitative"}, {"format", ".4f"}}};
  Json bar = place;
  bar["x"] = low;
  bar["x2"] = {{"field", "high"}};
  Json spec = spec_frame(rows_height(overview, arms));
  spec["layer"] = Json::array();
  const Json bounded = rows_with_bounds(means);
  if (!bounded.empty()) {
    spec["layer"].push_back({{"data", {{"values", bounded}}},
                             {"mark", {{"type", "rule"}, {"strokeWidth", 2.5}}},
                             {"encoding", bar}});
  }
  if (!dots.empty()) {
    spec["layer"].push_back({{"data", {{"values", dots}}},
                             {"mark",
                              {{"type", "point"},
                               {"filled", true},
                               {"size", 38},
                               {"opacity", 0.5}}},
                             {"encoding", tips}});
  }
  spec["layer"].push_back({{"data", {{"values", means}}},
                           {"mark",
                            {{"type", "point"},
                             {"shape", "diamond"},
                             {"filled", true},
                             {"size", 120},
                             {"opacity", 1}}},
                           {"encoding", place}});
  return spec;
}

std::vector<Figure> overview_figures(const Overview& overview,
                                     const std::vector<CaseSpeedup>& speedups) {
  std::vector<Figure> figures;
  differences_by_case(overview, figures);
  losses_by_case(overview, figures);
  if (overview.has_sizes()) size_figures(overview, figures);
  speedup_figure(overview, speedups, figures);
  return figures;
}

}  // namespace muonlab::study::detail
