// Loss against each searched key: one panel for each rate, one for each other
// key.
#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "muonlab/core/text.h"
#include "muonlab/study/figures_internal.h"
#include "muonlab/study/search_keys_internal.h"
#include "muonlab/study/wording_internal.h"

namespace muonlab::study::detail {

namespace {

constexpr const char* kPlanned = "planned trial";
constexpr const char* kExtension = "extension trial";
constexpr const char* kAudit = "audit of the halving";
constexpr const char* kAbove = "diverged or above the panel";
constexpr const char* kOptimum = "fitted optimum";
// The panel reaches this many nats above its best loss, unless all its losses
// lie lower: where training fails, how badly it fails is of no interest.
constexpr double kShownExcess = 1.0;
// Where trials that left the panel are marked, and how far the axis reaches
// past the highest and lowest loss, as shares of the panel's height.
constexpr double kAbovePlace = 0.05;
constexpr double kMargin = 0.09;
// Samples of a drawn parabola.
constexpr int kParabolaSamples = 33;
// More lines than this of one arm hide each other: only the main one is drawn.
constexpr std::size_t kMostLines = 4;

struct Panel {
  Json points = Json::array();
  Json chosen = Json::array();
  Json lines = Json::array();
  Json fits = Json::array();
  Json rungs = Json::array();  // short runs, whose losses are higher
  std::set<double> rates;
  std::vector<std::string> arms;
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();
};

bool has_diverged(const Cell& cell) {
  return cell.state == "diverged" || !std::isfinite(*counted_loss(cell));
}

// Lines of full-length trials; of many, the main one.
std::vector<TrialLine> drawn_lines(const Results& results, const Arm& arm,
                                   const std::string& key) {
  std::vector<TrialLine> lines = trial_lines(results, arm, key);
  if (is_rate(key)) {  // a log axis has no place for a rate of zero
    for (TrialLine& line : lines) {
      std::erase_if(line.cells, [&](const Cell* cell) {
        return !(key_value(*cell, key) > 0);
      });
    }
  }
  if (lines.size() <= kMostLines) return lines;
  return {*main_line(lines)};
}

void frame(Panel& panel, const TrialLine& line, const std::string& key) {
  for (const Cell* cell : line.cells) {
    panel.rates.insert(key_value(*cell, key));
    if (has_diverged(*cell)) continue;
    panel.low = std::min(panel.low, *counted_loss(*cell));
    panel.high = std::max(panel.high, *counted_loss(*cell));
  }
}

void add_line(Panel& panel, const Arm& arm, const TrialLine& line,
              const std::string& key, const std::string& group) {
  for (const Cell* cell : line.cells) {
    const double loss = *counted_loss(*cell);
    const bool above = has_diverged(*cell) || loss > panel.high;
    const double shown = drawn(
        above ? panel.high + kAbovePlace * (panel.high - panel.low) : loss);
    const char* kind = above             ? kAbove
                       : cell->audit     ? kAudit
                       : cell->extension ? kExtension
                                         : kPlanned;
    const Json row = {{"arm", arm.name}, {"rate", key_value(*cell, key)},
                      {"loss", loss},    {"shown", shown},
                      {"kind", kind},    {"held", settings_phrase(*cell, key)},
                      {"group", group}};
    panel.points.push_back(row);
    panel.lines.push_back({{"arm", arm.name},
                           {"rate", key_value(*cell, key)},
                           {"shown", shown},
                           {"group", group}});
    if (is_chosen(*cell, arm)) panel.chosen.push_back(row);
  }
}

// Short runs with the same other values as the main line.
std::vector<TrialLine> rungs_beside(const Results& results, const Arm& arm,
                                    const std::string& key,
                                    const std::vector<TrialLine>& lines) {
  std::vector<TrialLine> rungs;
  const TrialLine* main = main_line(lines);
  if (main == nullptr) return rungs;
  for (const double length : rung_lengths(results)) {
    for (TrialLine& rung : trial_lines(results, arm, key, length)) {
      if (rung.held == main->held) rungs.push_back(std::move(rung));
    }
  }
  return rungs;
}

void add_rung(Panel& panel, const Arm& arm, const TrialLine& rung,
              const std::string& key) {
  for (const Cell* cell : rung.cells) {
    const double loss = *counted_loss(*cell);
    if (has_diverged(*cell) || loss > panel.high) continue;
    panel.rungs.push_back({{"arm", arm.name},
                           {"rate", key_value(*cell, key)},
                           {"shown", drawn(loss)},
                           {"group", core::shortest(cell->length)}});
  }
}

void add_fit(Panel& panel, const Arm& arm, const RateSearch& search) {
  if (!search.fitted_optimum || !search.fitted_loss || !search.curvature ||
      search.fit_rates.empty()) {
    return;
  }
  const auto [low, high] =
      std::minmax_element(search.fit_rates.begin(), search.fit_rates.end());
  const double octaves = std::log2(*high / *low);
  for (int i = 0; i < kParabolaSamples; ++i) {
    const double rate = *low * std::exp2(octaves * i / (kParabolaSamples - 1));
    const double x = std::log2(rate / *search.fitted_optimum);
    panel.fits.push_back(
        {{"arm", arm.name},
         {"rate", rate},
         {"shown", drawn(*search.fitted_loss + *search.curvature * x * x)}});
  }
  panel.low = std::min(panel.low, *search.fitted_loss);
  panel.points.push_back({{"arm", arm.name},
                          {"rate", *search.fitted_optimum},
                          {"loss", *search.fitted_loss},
                          {"shown", drawn(*search.fitted_loss)},
                          {"kind", kOptimum},
                          {"held", ""},
                          {"group", "fit"}});
}

Panel build_panel(const Results& results, const std::string& key) {
  Panel panel;
  struct Part {
    const Arm* arm = nullptr;
    const RateSearch* search = nullptr;
    std::vector<TrialLine> lines;
    std::vector<TrialLine> rungs;
  };
  std::vector<Part> parts;
  for (const Arm& arm : results.arms) {
    for (const RateSearch& search : arm.searches) {
      if (search.rate != key) continue;
      Part& part = parts.emplace_back();
      part.arm = &arm;
      part.search = &search;
      part.lines = drawn_lines(results, arm, key);
      part.rungs = rungs_beside(results, arm, key, part.lines);
      for (const auto& line : part.lines) frame(panel, line, key);
      for (const auto& rung : part.rungs) frame(panel, rung, key);
    }
  }
  if (panel.rates.empty()) return panel;
  if (panel.low > panel.high) {  // every trial diverged
    panel.low = 0;
    panel.high = 1;
  }
  panel.high = std::min(panel.high, panel.low + kShownExcess);
  for (const Part& part : parts) {
    panel.arms.push_back(part.arm->name);
    for (std::size_t i = 0; i < part.lines.size(); ++i) {
      add_line(panel, *part.arm, part.lines[i], key, std::to_string(i));
    }
    for (const auto& rung : part.rungs) add_rung(panel, *part.arm, rung, key);
    add_fit(panel, *part.arm, *part.search);
  }
  return panel;
}

// Logarithmic; with a zero among the values, linear below half the smallest.
Json key_axis(const Panel& panel, const std::string& key) {
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

Json search_spec(const Results& results, const Panel& panel,
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
    const Panel panel = build_panel(results, key);
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
