// Loss over two searched keys at once, where an arm tried all combinations.
#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "muonlab/core/text.h"
#include "muonlab/study/figures_internal.h"
#include "muonlab/study/search_keys_internal.h"
#include "muonlab/study/wording_internal.h"

namespace muonlab::study::detail {

namespace {

// Losses further above the best look alike: a bad setting is a bad setting.
constexpr double kShownExcess = 0.3;
constexpr int kRowHeight = 38;
constexpr int kLeastHeight = 150;  // for the title of the axis

// One field of the map: the longest run with these two values.
using Fields = std::map<std::pair<double, double>, const Cell*>;

// The other keys at their chosen values.
bool is_on_plane(const Cell& cell, const Arm& arm, const std::string& x,
                 const std::string& y) {
  for (const RateSearch& search : arm.searches) {
    if (search.rate == x || search.rate == y) continue;
    double chosen =
        search.rate == "auxiliary" ? arm.auxiliary_lr : arm.hidden_lr;
    for (const auto& [key, value] : arm.settings) {
      if (key == search.rate) chosen = value;
    }
    const double value = key_value(cell, search.rate);
    if (std::abs(value - chosen) > 1e-12 * std::abs(chosen)) return false;
  }
  return true;
}

Fields fields_of(const Results& results, const Arm& arm, const std::string& x,
                 const std::string& y) {
  Fields fields;
  for (const Cell& cell : results.cells) {
    if (cell.phase != "search" || cell.arm != arm.name || !counted_loss(cell) ||
        !is_on_plane(cell, arm, x, y)) {
      continue;
    }
    const Cell*& field = fields[{key_value(cell, x), key_value(cell, y)}];
    if (field == nullptr || cell.length > field->length) field = &cell;
  }
  return fields;
}

bool covers_grid(const Fields& fields, const RateSearch& x,
                 const RateSearch& y) {
  if (x.grid.size() < 2 || y.grid.size() < 2) return false;
  for (const double first : x.grid) {
    for (const double second : y.grid) {
      if (!fields.contains({first, second})) return false;
    }
  }
  return true;
}

Json ordinal(const std::string& field, const std::vector<double>& values,
             const std::string& title) {
  Json sorted = Json::array();
  for (const double value : values) sorted.push_back(rate_text(value));
  return {{"field", field},
          {"type", "ordinal"},
          {"sort", sorted},
          {"title", title},
          {"axis",
           {{"labelAngle", 0}, {"grid", false}, {"labelOverlap", "greedy"}}}};
}

std::string label_of(const Cell& cell) {
  if (cell.state == "diverged") return "×";
  if (cell.length < 1) return "at " + percent_text(cell.length);
  return core::fixed(*counted_loss(cell), 3);
}

Json heat_spec(const Fields& fields, const Arm& arm, const std::string& x_key,
               const std::string& y_key) {
  double best = std::numeric_limits<double>::infinity();
  for (const auto& [values, cell] : fields) {
    if (cell->length == 1 && cell->state == "done") {
      best = std::min(best, *counted_loss(*cell));
    }
  }
  if (!std::isfinite(best)) return nullptr;
  Json shown = Json::array();
  Json marked = Json::array();
  std::vector<double> xs;
  std::vector<double> ys;
  for (const auto& [values, cell] : fields) {
    xs.push_back(values.first);
    ys.push_back(values.second);
    const double loss = *counted_loss(*cell);
    const bool colored = cell->length == 1 && cell->state == "done";
    Json row = {{"x", rate_text(values.first)},
                {"y", rate_text(values.second)},
                {"label", label_of(*cell)},
                {"loss", loss}};
    if (colored) {
      row["shown"] = drawn(std::min(loss, best + kShownExcess));
      row["dark"] = loss > best + kShownExcess / 2;
    }
    shown.push_back(row);
    if (is_chosen(*cell, arm)) marked.push_back(row);
  }
  for (std::vector<double>* axis : {&xs, &ys}) {
    std::sort(axis->begin(), axis->end());
    axis->erase(std::unique(axis->begin(), axis->end()), axis->end());
  }
  std::reverse(ys.begin(), ys.end());
  const Json x = ordinal("x", xs, key_phrase(x_key));
  const Json y = ordinal("y", ys, key_phrase(y_key));
  const Json color = {{"field", "shown"},
                      {"type", "quantitative"},
                      {"title", "held-out loss"},
                      {"scale",
                       {{"scheme", "viridis"},
                        {"reverse", true},
                        {"domain", {drawn(best), drawn(best + kShownExcess)}}}},
                      {"legend", {{"gradientLength", 160}, {"format", ".2f"}}}};
  const Json fill = {{"x", x}, {"y", y}, {"color", color}};
  const Json place = {{"x", x}, {"y", y}};
  Json text = {{"x", x}, {"y", y}, {"text", {{"field", "label"}}}};
  text["color"] = {
      {"condition",
       {{{"test", "!isValid(datum.shown)"}, {"value", "currentColor"}},
        {{"test", "datum.dark"}, {"value", "white"}}}},
      {"value", "black"}};
  Json spec = spec_frame(
      std::max(kLeastHeight, kRowHeight * static_cast<int>(ys.size())));
  spec["data"] = {{"values", shown}};
  spec["layer"] = {
      {{"mark",
        {{"type", "rect"},
         {"filled", false},
         {"stroke", "currentColor"},
         {"strokeOpacity", 0.3}}},
       {"encoding", place}},
      {{"transform", {{{"filter", "isValid(datum.shown)"}}}},
       {"mark", {{"type", "rect"}, {"tooltip", {{"content", "data"}}}}},
       {"encoding", fill}},
      {{"data", {{"values", marked}}},
       {"mark",
        {{"type", "rect"},
         {"filled", false},
         {"stroke", "currentColor"},
         {"strokeWidth", 3.5}}},
       {"encoding", place}},
      {{"mark", {{"type", "text"}, {"fontSize", 11.5}}}, {"encoding", text}}};
  return spec;
}

}  // namespace

std::vector<Figure> heat_figures(const Results& results) {
  std::vector<Figure> figures;
  for (const Arm& arm : results.arms) {
    for (std::size_t i = 0; i < arm.searches.size(); ++i) {
      for (std::size_t j = i + 1; j < arm.searches.size(); ++j) {
        const RateSearch& x = arm.searches[i];
        const RateSearch& y = arm.searches[j];
        const Fields fields = fields_of(results, arm, x.rate, y.rate);
        if (!covers_grid(fields, x, y)) continue;
        const Json spec = heat_spec(fields, arm, x.rate, y.rate);
        if (spec.is_null()) continue;
        figures.push_back(
            {file_name("heat-" + arm.name, x.rate + "-" + y.rate),
             "Loss of " + arm.name + " against " + key_phrase(x.rate) +
                 " and " + key_phrase(y.rate),
             "Do the best values of the two depend on each other? Held-out "
             "loss on the selection half of each combination (n = 1, seed " +
                 seeds_text(results.setup.search_seeds) + "; " +
                 setting_phrase(results) +
                 "), coloured up to 0.3 nats above the best" +
                 (arm.searches.size() > 2 ? "; other keys as chosen" : "") +
                 ". Framed: the chosen trial; ×: diverged; a percentage: "
                 "discarded after that share of the steps, so without a "
                 "comparable loss.",
             dump(spec)});
      }
    }
  }
  return figures;
}

}  // namespace muonlab::study::detail
