// The figures of the published Experiment 1, from our runs.
#include <algorithm>
#include <array>
#include <cmath>

#include "muonlab/core/text.h"
#include "muonlab/study/published_internal.h"
#include "muonlab/study/published_panel_internal.h"
#include "muonlab/study/wording_internal.h"

namespace muonlab::study::detail {

namespace {

constexpr std::array<Metric, 4> kMetrics = {
    {{"train", "Final training loss", "training loss, nats", true},
     {"loss", "Held-out loss", "held-out loss, nats", true},
     {"accuracy", "Held-out accuracy", "share ranked first", false},
     {"perplexity", "Held-out perplexity", "perplexity", true}}};

std::optional<double> value_of(const Cell& cell, const std::string& metric,
                               std::int64_t steps) {
  if (cell.state != "done") return std::nullopt;
  if (metric == "train") return late_train_loss(cell, steps);
  if (metric == "accuracy") return cell.accuracy;
  if (!cell.loss) return std::nullopt;
  return metric == "loss" ? *cell.loss : capped_perplexity(*cell.loss);
}

std::string phrase(const Results& results) {
  return "One run for each rate (n = 1, seed " +
         seeds_text(results.setup.search_seeds) + "), no error bars; " +
         setting_phrase(results) + ".";
}

void sensitivity_figure(const Results& results, std::vector<Figure>& figures) {
  Figure figure;
  figure.name = "published-rates";
  figure.title = "Learning-rate sensitivity, as the study drew it";
  figure.columns = 2;
  for (const Metric& metric : kMetrics) {
    Json rows = Json::array();
    for (const Arm& arm : results.arms) {
      for (const Cell* cell : rate_runs(results, arm.name)) {
        const auto value = value_of(*cell, metric.name, results.setup.steps);
        if (!value || !std::isfinite(*value)) continue;
        rows.push_back({{"arm", arm.name},
                        {"rate", cell->hidden_lr},
                        {metric.name, drawn(*value)}});
      }
    }
    if (rows.empty()) continue;
    figure.panels.push_back(
        {figure.name + "-" + metric.name, metric.title, "",
         dump(panel_spec(results, rows,
                         {.field = "rate",
                          .title = "learning rate",
                          .logarithmic = true,
                          .format = ".0e"},
                         {.field = metric.name,
                          .title = metric.axis,
                          .logarithmic = metric.logarithmic,
                          .format = metric.logarithmic ? "~g" : ".2~f"},
                         {.lines = true, .points = true}))});
  }
  if (figure.panels.empty()) return;
  figure.caption =
      std::string(kTheirs) +
      "Which rate is best for each optimizer? Loss of one training batch after "
      "550 of 600 steps (the same share here), held-out loss, accuracy and "
      "perplexity at the end. Only runs that did not fail. " +
      phrase(results);
  figures.push_back(std::move(figure));
}

Json curve_rows(const std::vector<CurvePoint>& curve, const std::string& arm,
                bool accuracy) {
  constexpr std::size_t kMostPoints = 200;
  Json rows = Json::array();
  const std::size_t stride =
      std::max<std::size_t>(1, curve.size() / kMostPoints);
  for (std::size_t i = 0; i < curve.size(); i += stride) {
    const CurvePoint& point = curve[i];
    if (accuracy && !point.accuracy) continue;
    const double value = accuracy ? *point.accuracy : point.loss;
    if (!std::isfinite(value)) continue;
    rows.push_back(
        {{"arm", arm}, {"step", point.step}, {"value", drawn(value)}});
  }
  return rows;
}

void curves_figure(const Results& results, std::vector<Figure>& figures) {
  Json train = Json::array();
  Json loss = Json::array();
  Json accuracy = Json::array();
  std::vector<std::string> rates;
  for (const Arm& arm : results.arms) {
    const Cell* best = most_accurate(rate_runs(results, arm.name));
    if (best == nullptr) continue;
    rates.push_back(arm.name + " " + rate_text(best->hidden_lr));
    for (const Json& row : curve_rows(best->train, arm.name, false)) {
      train.push_back(row);
    }
    for (const Json& row : curve_rows(best->held_out, arm.name, false)) {
      loss.push_back(row);
    }
    for (const Json& row : curve_rows(best->held_out, arm.name, true)) {
      accuracy.push_back(row);
    }
  }
  Figure figure;
  figure.name = "published-curves";
  figure.title = "Training curves at the best rates, as the study drew them";
  figure.columns = 3;
  const auto add = [&](const char* name, const char* title, const char* axis,
                       const Json& rows, bool logarithmic, bool points) {
    if (rows.empty()) return;
    figure.panels.push_back(
        {figure.name + "-" + name, title, "",
         dump(panel_spec(results, rows,
                         {.field = "step", .title = "steps", .format = "d"},
                         {.field = "value",
                          .title = axis,
                          .logarithmic = logarithmic,
                          .format = logarithmic ? "~g" : ".2~f"},
                         {.lines = true, .points = points}))});
  };
  add("train", "Training loss", "training loss, nats", train, true, false);
  add("loss", "Held-out loss", "held-out loss, nats", loss, true, true);
  add("accuracy", "Held-out accuracy", "share ranked first", accuracy, false,
      true);
  if (figure.panels.empty()) return;
  figure.caption = std::string(kTheirs) +
                   "How do the best runs train? The run of each arm with the "
                   "highest held-out accuracy (rates: " +
                   list_text(rates) + "). " + phrase(results);
  figures.push_back(std::move(figure));
}

void stability_figure(const Results& results, std::vector<Figure>& figures) {
  Figure figure;
  figure.name = "published-stability";
  figure.title = "Learning-rate stability, as the study drew it";
  figure.columns = 2;
  bool all_done = true;
  for (const Arm& arm : results.arms) {
    Json rows = Json::array();
    for (const Cell* cell : rate_runs(results, arm.name)) {
      const bool done = cell->state == "done";
      all_done = all_done && done;
      rows.push_back({{"arm", arm.name},
                      {"rate", cell->hidden_lr},
                      {"success", done ? 1 : 0}});
    }
    if (rows.empty()) continue;
    figure.panels.push_back(
        {figure.name + "-" + arm.name, "Stability of " + arm.name, "",
         dump(panel_spec(results, rows,
                         {.field = "rate",
                          .title = "learning rate",
                          .logarithmic = true,
                          .format = ".0e"},
                         {.field = "success",
                          .title = "done 1, diverged 0",
                          .low = -0.1,
                          .high = 1.1},
                         {.lines = false, .points = true}))});
  }
  if (figure.panels.empty()) return;
  figure.caption =
      std::string(kTheirs) +
      (all_done ? "Every run is done, so the figure carries no information: a "
                  "run counts as stable however high its loss is. "
                : "Which runs failed? A run counts as stable however high its "
                  "loss is. ") +
      phrase(results);
  figures.push_back(std::move(figure));
}

}  // namespace

std::vector<Figure> published_rate_figures(const Results& results) {
  std::vector<Figure> figures;
  if (results.setup.report != kFirstStudy) return figures;
  sensitivity_figure(results, figures);
  curves_figure(results, figures);
  stability_figure(results, figures);
  return figures;
}

}  // namespace muonlab::study::detail
