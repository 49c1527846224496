// Loss and difference against the number of parameters.
#include <algorithm>
#include <cmath>

#include "muonlab/core/text.h"
#include "muonlab/study/overview_figures_internal.h"
#include "muonlab/study/wording_internal.h"

namespace muonlab::study::detail {

namespace {

constexpr double kLogFactor = 3;  // as in the figure of losses by case
constexpr int kLawSamples = 33;

Json parameter_axis(const Overview& overview) {
  std::vector<double> sizes;
  for (const CaseView& view : overview.cases) {
    sizes.push_back(static_cast<double>(view.setup().parameters));
  }
  const auto [least, most] = std::minmax_element(sizes.begin(), sizes.end());
  return {
      {"field", "parameters"},
      {"type", "quantitative"},
      {"title", "parameters (logarithmic)"},
      {"scale",
       {{"type", "log"},
        {"nice", false},
        {"domain", {*least / 1.15, *most * 1.15}}}},
      {"axis",
       {{"format", ".3~s"}, {"values", sizes}, {"labelOverlap", "greedy"}}}};
}

// The fitted laws, where they are determined.
Json law_rows(const Overview& overview) {
  Json rows = Json::array();
  for (const Arm& arm : overview.first().arms) {
    const auto runs = size_runs(overview, arm.name);
    const auto& fit = overview.scaling.at(arm.name);
    if (!fit || !fit->law.determined()) continue;
    const double least = runs.front().parameters;
    const double most = runs.back().parameters;
    for (int i = 0; i < kLawSamples; ++i) {
      const double size =
          least *
          std::pow(most / least, static_cast<double>(i) / (kLawSamples - 1));
      rows.push_back({{"arm", arm.name},
                      {"parameters", drawn(size)},
                      {"loss", drawn(fit->law.at(size))}});
    }
  }
  return rows;
}

void loss_figure(const Overview& overview, std::vector<Figure>& figures) {
  Json dots = Json::array();
  Json means = Json::array();
  double low = HUGE_VAL;
  double high = 0;
  for (const CaseView& view : overview.cases) {
    for (const ArmSummary& arm : view.table.arms) {
      for (std::size_t i = 0; i < arm.losses.size(); ++i) {
        dots.push_back({{"arm", arm.arm},
                        {"parameters", view.setup().parameters},
                        {"seed", arm.seeds[i]},
                        {"loss", arm.losses[i]}});
        low = std::min(low, arm.losses[i]);
        high = std::max(high, arm.losses[i]);
      }
      if (!arm.mean_loss) continue;
      means.push_back({{"arm", arm.arm},
                       {"parameters", view.setup().parameters},
                       {"loss", *arm.mean_loss}});
    }
  }
  if (means.empty()) return;
  const bool logarithmic = low > 0 && high / low > kLogFactor;
  const Json scale =
      logarithmic ? Json{{"type", "log"}, {"nice", false}, {"padding", 10}}
                  : Json{{"zero", false}};
  const Json y = {{"field", "loss"},
                  {"type", "quantitative"},
                  {"title", "final held-out loss, nats per token"},
                  {"scale", scale}};
  Json place = {{"x", parameter_axis(overview)},
                {"y", y},
                {"color", arm_color_channel(overview.first())}};
  Json dashed = place;
  dashed["strokeDash"] = arm_dash_channel(overview.first());
  for (Json* channel :
       {&place["color"], &dashed["color"], &dashed["strokeDash"]}) {
    (*channel)["legend"] = {{"symbolType", "stroke"}, {"symbolSize", 300}};
  }
  const Json laws = law_rows(overview);
  Json spec = spec_frame(320);
  spec["layer"] = {
      {{"data", {{"values", means}}},
       {"mark", {{"type", "line"}, {"strokeWidth", laws.empty() ? 2 : 0.7}}},
       {"encoding", dashed}},
      {{"data", {{"values", dots}}},
       {"mark",
        {{"type", "point"}, {"filled", true}, {"size", 38}, {"opacity", 0.5}}},
       {"encoding", place}},
      {{"data", {{"values", means}}},
       {"mark",
        {{"type", "point"},
         {"shape", "diamond"},
         {"filled", true},
         {"size", 110},
         {"opacity", 1}}},
       {"encoding", place}}};
  if (!laws.empty()) {
    spec["layer"].push_back({{"data", {{"values", laws}}},
                             {"mark", {{"type", "line"}, {"strokeWidth", 2}}},
                             {"encoding", dashed}});
  }
  figures.push_back(
      {"loss-by-size", "Loss against parameters",
       "How does the loss fall with size? Final held-out loss of every seed "
       "(dots) and mean (diamond)" +
           std::string(laws.empty() ? ", joined by straight lines"
                                    : ", and E + A N^-alpha through the means "
                                      "where the sizes determine it") +
           "; " + overview_phrase(overview) + ".",
       dump(spec)});
}

void difference_figure(const Overview& overview, std::vector<Figure>& figures) {
  Json means = Json::array();
  for (const CaseView& view : overview.cases) {
    for (const Comparison& c : view.table.comparisons) {
      if (!c.difference) continue;
      means.push_back(
          difference_row(c, {{"parameters", view.setup().parameters}}));
    }
  }
  if (means.empty()) return;
  const std::string& baseline = overview.study->setup.baseline;
  const Json y = {{"field", "difference"},
                  {"type", "quantitative"},
                  {"title", "difference to " + baseline + ", nats"},
                  {"axis",
                   {{"format", "+.3~f"},
                    {"labelExpr", "datum.value == 0 ? '0' : datum.label"}}}};
  Json color = arm_color_channel(overview.first());
  Json names = Json::array();
  for (const Comparison& c : overview.cases.front().table.comparisons) {
    names.push_back(c.arm);
  }
  color["legend"] = {{"values", names}};
  const Json place = {
      {"x", parameter_axis(overview)}, {"y", y}, {"color", color}};
  Json bar = place;
  bar["y"]["field"] = "low";
  bar["y2"] = {{"field", "high"}};
  const Json zero = {{"y", {{"datum", 0}, {"type", "quantitative"}}}};
  Json spec = spec_frame(280);
  spec["data"] = {{"values", means}};
  spec["layer"] = {
      {{"data", {{"values", {Json::object()}}}},
       {"mark",
        {{"type", "rule"}, {"color", "currentColor"}, {"strokeWidth", 1.2}}},
       {"encoding", zero}},
      {{"mark", {{"type", "line"}, {"strokeWidth", 1.2}}}, {"encoding", place}},
      {{"mark",
        {{"type", "point"},
         {"shape", "diamond"},
         {"filled", true},
         {"size", 110},
         {"opacity", 1},
         {"tooltip", true}}},
       {"encoding", place}}};
  const Json bounded = rows_with_bounds(means);
  if (!bounded.empty()) {
    spec["layer"].push_back({{"data", {{"values", bounded}}},
                             {"mark", {{"type", "rule"}, {"strokeWidth", 2.5}}},
                             {"encoding", bar}});
  }
  figures.push_back(
      {"difference-by-size",
       "Difference to " + baseline + " against parameters",
       "Does the lead grow or fade with size? Mean paired difference in final "
       "held-out loss (below zero: ahead of " +
           baseline +
           ") and its 95 % paired t interval, none below three seeds; sizes "
           "joined to guide the eye; " +
           overview_phrase(overview) + ".",
       dump(spec)});
}

}  // namespace

void size_figures(const Overview& overview, std::vector<Figure>& figures) {
  loss_figure(overview, figures);
  difference_figure(overview, figures);
}

}  // namespace muonlab::study::detail
