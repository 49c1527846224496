// Loss against each searched key: one panel for each rate, one for each other
// key.
#include <algorithm>
#include <cmath>
#include <iterator>

#include "muonlab/core/text.h"
#include "muonlab/study/search_keys_internal.h"
#include "muonlab/study/search_panel_internal.h"
#include "muonlab/study/wording_internal.h"

namespace muonlab::study::detail {

namespace {

// How far the axis reaches past the highest and lowest loss, as a share of the
// panel's height.
constexpr double kMargin = 0.09;

// Logarithmic; with a zero among the values, linear below half the smallest.
Json key_axis(const SearchPanel& panel, const std::string& key) {
  const double margin = std::exp2(0.3);
  Json axis = {{"format", ".2~g"}, {"labelOverlap", "greedy"}};
  if (panel.rates.size() <= 14) axis["values"] = Json(panel.rates);
  const double first = *panel.rates.begin();
  const double last = *panel.rates.rbegin();
  Json scale;
  if (first > 0) {
    scale = {{"type", "log"},
             {"base", 2},
             {"nice", false},
             {"domain", {first / margin, last * margin}}};
  } else {
    const double least = *std::next(panel.rates.begin());
    scale = {{"type", "symlog"},
             {"constant", least / 2},
             {"nice", false},
             {"domain", {-least / 4, last * margin}}};
  }
  return {{"field", "rate"},
          {"type", "quantitative"},
          {"title", (is_rate(key) ? key + " learning rate" : key) +
                        " (logarithmic" + (first > 0 ? ")" : ", with zero)")},
          {"scale", scale},
          {"axis", axis}};
}

Json search_spec(const Results& results, const SearchPanel& panel,
                 const std::string& key) {
  const double pad = kMargin * std::max(panel.high - panel.low, 1e-6);
  const Json x = key_axis(panel, key);
  const Json y = {
      {"field", "shown"},
      {"type", "quantitative"},
      {"title", "held-out loss, nats per token"},
      {"scale",
       {{"domain", {drawn(panel.low - pad), drawn(panel.high + pad)}},
        {"nice", false},
        {"zero", false}}}};
  Json color = arm_color_channel(results);
  color["legend"] = {{"values", panel.arms}};
  Json kinds = {kPlanned, kExtension, kAbove, kOptimum};
  Json shapes = {"circle", "square", "triangle-up", "cross"};
  if (!rung_lengths(results).empty()) {
    kinds.push_back(kAudit);
    shapes.push_back("diamond");
  }
  const Json shape = {{"field", "kind"},
                      {"type", "nominal"},
                      {"title", nullptr},
                      {"scale", {{"domain", kinds}, {"range", shapes}}},
                      {"legend",
                       {{"orient", "bottom"},
                        {"columns", 2},
                        {"rowPadding", 5},
                        {"symbolFillColor", "gray"},
                        {"symbolStrokeColor", "gray"},
                        {"symbolStrokeWidth", 0}}}};
  const Json tooltip = {
      {{"field", "arm"}},
      {{"field", "rate"}, {"type", "quantitative"}, {"format", ".3~g"}},
      {{"field", "held"}, {"title", "held"}},
      {{"field", "loss"}, {"type", "quantitative"}, {"format", ".4f"}},
      {{"field", "kind"}}};
  Json spec = spec_frame(320);
  const Json line_encoding = {
      {"x", x}, {"y", y}, {"color", color}, {"detail", {{"field", "group"}}}};
  const Json fit_encoding = {{"x", x}, {"y", y}, {"color", color}};
  const Json point_encoding = {{"x", x},
                               {"y", y},
                               {"color", color},
                               {"shape", shape},
                               {"tooltip", tooltip}};
  spec["layer"] = {
      {{"data", {{"values", panel.lines}}},
       {"mark", {{"type", "line"}, {"strokeWidth", 1}, {"opacity", 0.4}}},
       {"encoding", line_encoding}},
      {{"data", {{"values", panel.fits}}},
       {"mark",
        {{"type", "line"},
         {"clip", true},
         {"strokeWidth", 2},
         {"strokeDash", {4, 3}}}},
       {"encoding", fit_encoding}},
      {{"data", {{"values", panel.chosen}}},
       {"mark",
        {{"type", "point"},
         {"filled", false},
         {"size", 260},
         {"strokeWidth", 1.5}}},
       {"encoding", fit_encoding}},
      {{"data", {{"values", panel.points}}},
       {"mark",
        {{"type", "point"}, {"filled", true}, {"size", 75}, {"opacity", 1}}},
       {"encoding", point_encoding}}};
  if (!panel.rungs.empty()) {
    spec["layer"].push_back({{"data", {{"values", panel.rungs}}},
                             {"mark",
                              {{"type", "line"},
                               {"strokeWidth", 1},
                               {"strokeDash", {1, 3}},
                               {"opacity", 0.45},
                               {"point", {{"size", 22}, {"opacity", 0.45}}}}},
                             {"encoding", line_encoding}});
  }
  return spec;
}

}  // namespace

std::vector<Figure> search_figures(const Results& results) {
  std::vector<Figure> figures;
  std::vector<std::string> lengths;
  for (const double length : rung_lengths(results)) {
    lengths.push_back(percent_text(length));
  }
  for (const std::string& key : searched_keys(results)) {
    const SearchPanel panel = search_panel(results, key);
    if (panel.points.empty()) continue;
    std::string caption =
        "Which value is best, and how much does a wrong one cost? Search "
        "trials (n = 1 run each, seed " +
        seeds_text(results.setup.search_seeds) + "; " +
        setting_phrase(results) + "), held-out loss on the selection half, " +
        (key == "joint" ? "one rate for all parameters"
                        : "everything else held along each thin line") +
        ". A ring marks the chosen trial; dashed: parabola in the logarithm "
        "through the best three to five trials, its optimum a cross, where it "
        "has one between the trials.";
    if (!panel.rungs.empty()) {
      caption +=
          " Faint and dotted: short, fully decayed runs of the halving (" +
          list_text(lengths) +
          " of the steps), which compete among themselves only.";
    }
    const std::string title =
        is_rate(key) ? "the " + key + " learning rate" : key;
    figures.push_back({file_name("search", key), "Loss against " + title,
                       caption, dump(search_spec(results, panel, key))});
  }
  return figures;
}

}  // namespace muonlab::study::detail
