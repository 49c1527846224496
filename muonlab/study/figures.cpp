#include "muonlab/study/figures.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <set>

#include "muonlab/core/text.h"
#include "muonlab/study/figures_internal.h"
#include "muonlab/study/published_internal.h"
#include "muonlab/study/wording_internal.h"

namespace muonlab::study {

namespace {

const std::map<std::string, std::string>& usual_colors() {
  static const std::map<std::string, std::string> kColors = {
      {"muon", "#ff7f0e"},        {"adamw", "#d62728"}, {"muonw", "#1f77b4"},
      {"adamw-joint", "#7f7f7f"}, {"soap", "#bcbd22"},  {"lion", "#2ca02c"},
  };
  return kColors;
}

// Okabe and Ito's colour-blind-safe colours first, without those too near to
// the usual arms' and without black and yellow, which vanish on dark and on
// white; then middle tones that show on both.
constexpr std::array<const char*, 10> kPalette = {
    "#009e73", "#cc79a7", "#56b4e9", "#a0785a", "#999933",
    "#8c7ae6", "#44aa99", "#c44e9c", "#6c8ebf", "#b8860b"};

}  // namespace

std::string arm_color(const std::string& name, const std::vector<Arm>& arms) {
  const auto usual = usual_colors().find(name);
  if (usual != usual_colors().end()) return usual->second;
  std::size_t place = 0;
  for (const Arm& arm : arms) {
    if (arm.name == name) break;
    if (!usual_colors().contains(arm.name)) ++place;
  }
  return kPalette[place % kPalette.size()];
}

std::vector<Figure> figures(const Results& results,
                            const ComparisonTable& table) {
  std::vector<Figure> all = detail::difference_figures(results, table);
  for (auto build : {detail::curve_figures, detail::search_figures,
                     detail::heat_figures, detail::step_time_figures}) {
    for (Figure& figure : build(results)) all.push_back(std::move(figure));
  }
  for (Figure& figure : detail::published_rate_figures(results)) {
    all.push_back(std::move(figure));
  }
  return all;
}

namespace detail {

namespace {

// currentColor lets the page's style sheet colour text, axes and grid, so one
// drawing serves light mode, dark mode and print.
Json theme() {
  const Json line_of_text = {{"labelColor", "currentColor"},
                             {"titleColor", "currentColor"},
                             {"labelFontSize", 12},
                             {"titleFontSize", 12},
                             {"titleFontWeight", 600}};
  Json axis = line_of_text;
  axis.update(Json{{"domainColor", "currentColor"},
                   {"domainOpacity", 0.5},
                   {"tickColor", "currentColor"},
                   {"tickOpacity", 0.5},
                   {"gridColor", "currentColor"},
                   {"gridOpacity", 0.12},
                   {"titlePadding", 8}});
  Json legend = line_of_text;
  legend.update(Json{{"orient", "top"},
                     {"titleOrient", "left"},
                     {"symbolSize", 120},
                     {"symbolOpacity", 1},
                     {"symbolStrokeWidth", 2.5},
                     {"labelLimit", 260}});
  return {{"font", "system-ui, \"DejaVu Sans\", sans-serif"},
          {"background", "transparent"},
          {"view", {{"stroke", nullptr}}},
          {"text", {{"color", "currentColor"}}},
          {"axis", axis},
          {"legend", legend}};
}

Json arm_scale(const Results& results, const std::vector<Json>& range) {
  Json names = Json::array();
  for (const Arm& arm : results.arms) names.push_back(arm.name);
  return {{"domain", names}, {"range", range}};
}

bool scalar_rule(const std::string& rule) {
  static const std::set<std::string> kScalar = {
      "adamw", "adam", "sgd", "lion", "adagrad", "rmsprop", "nadamw", "mars"};
  return kScalar.contains(rule);
}

}  // namespace

Json spec_frame(int height) {
  return {{"$schema", "https://vega.github.io/schema/vega-lite/v6.json"},
          {"config", theme()},
          {"width", "container"},
          {"height", height},
          {"autosize", {{"type", "fit-x"}, {"contains", "padding"}}}};
}

Json arm_color_channel(const Results& results) {
  std::vector<Json> colors;
  for (const Arm& arm : results.arms) {
    colors.push_back(arm_color(arm.name, results.arms));
  }
  return {{"field", "arm"},
          {"type", "nominal"},
          {"scale", arm_scale(results, colors)},
          {"title", nullptr}};
}

Json arm_dash_channel(const Results& results) {
  std::vector<Json> dashes;
  for (const Arm& arm : results.arms) {
    dashes.push_back(scalar_rule(arm.rule) ? Json::array({6, 3})
                                           : Json::array({1, 0}));
  }
  return {{"field", "arm"},
          {"type", "nominal"},
          {"scale", arm_scale(results, dashes)},
          {"title", nullptr}};
}

Json rows_with_bounds(const Json& rows) {
  Json bounded = Json::array();
  for (const Json& row : rows) {
    if (row.contains("low")) bounded.push_back(row);
  }
  return bounded;
}

std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

double drawn(double value) {
  if (value == 0 || !std::isfinite(value)) return value;
  const int exponent =
      static_cast<int>(std::floor(std::log10(std::abs(value))));
  const double unit = std::pow(10.0, 4 - exponent);
  return std::round(value * unit) / unit;
}

std::string setting_phrase(const Results& results) {
  std::string text =
      core::grouped(tokens_per_run(results.setup)) + " tokens per run";
  if (!results.setup.model.empty()) text += "; " + results.setup.model;
  return text;
}

}  // namespace detail

}  // namespace muonlab::study
