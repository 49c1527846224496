// Loss against learning rate: one panel for each kind of rate that was
// searched.
#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>

#include "muonlab/core/text.h"
#include "muonlab/study/figures_internal.h"
#include "muonlab/study/wording_internal.h"

namespace muonlab::study::detail {

namespace {

constexpr const char* kPlanned = "planned trial";
constexpr const char* kExtension = "extension trial";
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

struct Trial {
  double rate = 0;
  double other = 0;  // the rate that was held
  double loss = 0;
  bool diverged = false;
  bool extension = false;
  bool chosen = false;
};

struct Panel {
  Json points = Json::array();
  Json chosen = Json::array();
  Json lines = Json::array();
  Json fits = Json::array();
  std::set<double> rates;
  std::vector<std::string> arms;
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();
};

// The trials of one arm in sweeps along `rate`, keyed by the rate that was
// held; a value of the held rate with a single trial is no sweep of this rate.
std::vector<std::vector<Trial>> sweeps_of(const Results& results,
                                          const Arm& arm,
                                          const std::string& rate) {
  std::map<double, std::vector<Trial>> by_held;
  for (const Cell& cell : results.cells) {
    const std::optional<double> loss = counted_loss(cell);
    if (cell.phase != "search" || cell.arm != arm.name || !loss) continue;
    const bool auxiliary = rate == "auxiliary";
    Trial trial;
    trial.rate = auxiliary ? cell.auxiliary_lr : cell.hidden_lr;
    trial.other = auxiliary ? cell.hidden_lr : cell.auxiliary_lr;
    trial.loss = *loss;
    trial.diverged = cell.state == "diverged" || !std::isfinite(*loss);
    trial.extension = cell.extension;
    trial.chosen = cell.hidden_lr == arm.hidden_lr &&
                   cell.auxiliary_lr == arm.auxiliary_lr;
    if (!(trial.rate > 0)) continue;  // a log axis has no place for it
    by_held[rate == "joint" ? 0 : trial.other].push_back(trial);
  }
  std::vector<std::vector<Trial>> sweeps;
  for (auto& [held, trials] : by_held) {
    if (trials.size() < 2) continue;
    std::sort(trials.begin(), trials.end(),
              [](const Trial& a, const Trial& b) { return a.rate < b.rate; });
    sweeps.push_back(std::move(trials));
  }
  return sweeps;
}

void frame(Panel& panel, const std::vector<Trial>& sweep) {
  for (const Trial& trial : sweep) {
    panel.rates.insert(trial.rate);
    if (trial.diverged) continue;
    panel.low = std::min(panel.low, trial.loss);
    panel.high = std::max(panel.high, trial.loss);
  }
}

void add_sweep(Panel& panel, const Arm& arm, const std::vector<Trial>& sweep,
               const std::string& group) {
  for (const Trial& trial : sweep) {
    const bool above = trial.diverged || trial.loss > panel.high;
    const double shown =
        drawn(above ? panel.high + kAbovePlace * (panel.high - panel.low)
                    : trial.loss);
    const char* kind = above ? kAbove : trial.extension ? kExtension : kPlanned;
    const Json row = {{"arm", arm.name},    {"rate", trial.rate},
                      {"loss", trial.loss}, {"shown", shown},
                      {"kind", kind},       {"held", rate_text(trial.other)},
                      {"group", group}};
    panel.points.push_back(row);
    panel.lines.push_back({{"arm", arm.name},
                           {"rate", trial.rate},
                           {"shown", shown},
                           {"group", group}});
    if (trial.chosen) panel.chosen.push_back(row);
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

Panel build_panel(const Results& results, const std::string& rate) {
  Panel panel;
  struct Part {
    const Arm* arm;
    const RateSearch* search;
    std::vector<std::vector<Trial>> sweeps;
  };
  std::vector<Part> parts;
  for (const Arm& arm : results.arms) {
    for (const RateSearch& search : arm.searches) {
      if (search.rate != rate) continue;
      parts.push_back({&arm, &search, sweeps_of(results, arm, rate)});
      for (const auto& sweep : parts.back().sweeps) frame(panel, sweep);
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
    for (std::size_t i = 0; i < part.sweeps.size(); ++i) {
      add_sweep(panel, *part.arm, part.sweeps[i], std::to_string(i));
    }
    add_fit(panel, *part.arm, *part.search);
  }
  return panel;
}

Json rate_axis(const Panel& panel, const std::string& rate) {
  const double margin = std::exp2(0.3);
  Json axis = {{"format", ".2~g"}, {"labelOverlap", "greedy"}};
  if (panel.rates.size() <= 14) {
    axis["values"] = Json(panel.rates);
  }
  return {{"field", "rate"},
          {"type", "quantitative"},
          {"title", rate + " learning rate (logarithmic)"},
          {"scale",
           {{"type", "log"},
            {"base", 2},
            {"nice", false},
            {"domain",
             {*panel.rates.begin() / margin, *panel.rates.rbegin() * margin}}}},
          {"axis", axis}};
}

Json search_spec(const Results& results, const Panel& panel,
                 const std::string& rate) {
  const double pad = kMargin * std::max(panel.high - panel.low, 1e-6);
  const Json x = rate_axis(panel, rate);
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
  const Json shape = {
      {"field", "kind"},
      {"type", "nominal"},
      {"title", nullptr},
      {"scale",
       {{"domain", {kPlanned, kExtension, kAbove, kOptimum}},
        {"range", {"circle", "square", "triangle-up", "cross"}}}},
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
      {{"field", "held"}, {"title", "other rate"}},
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
  return spec;
}

}  // namespace

std::vector<Figure> search_figures(const Results& results) {
  std::vector<Figure> figures;
  for (const std::string rate : {"hidden", "auxiliary", "joint"}) {
    const Panel panel = build_panel(results, rate);
    if (panel.points.empty()) continue;
    const std::string held = rate == "joint"
                                 ? "one rate for all parameters"
                                 : "the other rate held along each thin line";
    figures.push_back(
        {"search-" + rate, "Loss against the " + rate + " learning rate",
         "Search trials (n = 1 run each, seed " +
             seeds_text(results.setup.search_seeds) + "; " +
             setting_phrase(results) +
             "), held-out loss on the selection half, " + held +
             ". A ring marks the chosen trial; dashed: parabola in the "
             "logarithm of the rate through the best three to five trials, "
             "its optimum a cross, where it has one between the trials.",
         dump(search_spec(results, panel, rate))});
  }
  return figures;
}

}  // namespace muonlab::study::detail
