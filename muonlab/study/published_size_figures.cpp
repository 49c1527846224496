// The figures of the published Experiment 2, from our runs.
#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include "muonlab/core/text.h"
#include "muonlab/statistics/sample.h"
#include "muonlab/statistics/t_tests.h"
#include "muonlab/study/published_internal.h"
#include "muonlab/study/published_panel_internal.h"
#include "muonlab/study/wording_internal.h"

namespace muonlab::study::detail {

namespace {

constexpr std::size_t kMostPoints = 120;

constexpr std::array<Metric, 4> kMetrics = {
    {{"loss", "Held-out loss", "held-out loss, nats", true},
     {"accuracy", "Held-out accuracy", "share ranked first", false},
     {"perplexity", "Held-out perplexity", "perplexity", true},
     {"time", "Training time", "seconds", false}}};

// Mean and mean +- population deviation over the runs that have each step.
Json band_rows(const Results& results, bool accuracy) {
  Json rows = Json::array();
  for (const Arm& arm : results.arms) {
    std::map<std::int64_t, std::vector<double>> values;
    std::size_t runs = 0;
    for (const Cell& cell : results.cells) {
      if (cell.phase != "final" || cell.arm != arm.name) continue;
      if (cell.state != "done") continue;
      ++runs;
      for (const CurvePoint& point : accuracy ? cell.held_out : cell.train) {
        if (accuracy && !point.accuracy) continue;
        values[point.step].push_back(accuracy ? *point.accuracy : point.loss);
      }
    }
    const std::size_t stride =
        std::max<std::size_t>(1, values.size() / kMostPoints);
    std::size_t place = 0;
    for (const auto& [step, all] : values) {
      if (place++ % stride != 0 || all.size() != runs) continue;
      const double mean = statistics::mean(all);
      const double sd = statistics::population_deviation(all);
      rows.push_back({{"arm", arm.name},
                      {"step", step},
                      {"value", drawn(mean)},
                      {"low", drawn(mean - sd)},
                      {"high", drawn(mean + sd)}});
    }
  }
  return rows;
}

void curves_figure(const Overview& overview, std::vector<Figure>& figures) {
  Figure figure;
  figure.name = "published-size-curves";
  figure.title = "Training by size, as the study drew it";
  figure.columns = std::min<std::size_t>(4, overview.cases.size());
  for (const bool accuracy : {false, true}) {
    for (const CaseView& view : overview.cases) {
      const Json rows = band_rows(*view.results, accuracy);
      if (rows.empty()) continue;
      const std::string& size = view.setup().case_name;
      figure.panels.push_back(
          {figure.name + (accuracy ? "-accuracy-" : "-loss-") + size,
           size + (accuracy ? ": held-out accuracy" : ": training loss"), "",
           dump(panel_spec(
               *view.results, rows,
               {.field = "step", .title = "optimizer steps", .format = "d"},
               {.field = "value",
                .title =
                    accuracy ? "share ranked first" : "training loss, nats",
                .logarithmic = !accuracy,
                .format = accuracy ? ".2~f" : "~g"},
               {.lines = true, .points = accuracy, .band = true}))});
    }
  }
  if (figure.panels.empty()) return;
  figure.caption =
      std::string(kTheirs) +
      "How do the optimizers train at each size? Mean over seeds and a band "
      "of one standard deviation with n in the denominator (not an interval). "
      "The study drew training accuracy against micro-steps; here it is "
      "held-out accuracy against optimizer steps. " +
      overview_phrase(overview) + ".";
  figures.push_back(std::move(figure));
}

Json metric_rows(const Overview& overview, const Metric& metric,
                 std::size_t& fewest) {
  Json rows = Json::array();
  for (const CaseView& view : overview.cases) {
    for (const Arm& arm : view.results->arms) {
      const auto values = final_values(*view.results, arm.name, metric.name);
      if (values.empty()) continue;
      fewest = std::min(fewest, values.size());
      const double mean = statistics::mean(values);
      const double sd = statistics::population_deviation(values);
      rows.push_back({{"arm", arm.name},
                      {"parameters", view.setup().parameters},
                      {metric.name, drawn(mean)},
                      {"low", drawn(mean - sd)},
                      {"high", drawn(mean + sd)}});
    }
  }
  return rows;
}

// The same means with Student's 95 % interval of each mean.
Json honest_rows(const Overview& overview) {
  Json rows = Json::array();
  for (const CaseView& view : overview.cases) {
    for (const ArmSummary& arm : view.table.arms) {
      if (arm.losses.size() < statistics::kFewestForTest) continue;
      const auto test = statistics::one_sample_t_test(arm.losses, 0);
      if (!test.interval) continue;
      rows.push_back({{"arm", arm.arm},
                      {"parameters", view.setup().parameters},
                      {"loss", drawn(*arm.mean_loss)},
                      {"low", drawn(test.interval->low)},
                      {"high", drawn(test.interval->high)}});
    }
  }
  return rows;
}

Figure metric_panel(const Overview& overview, const std::string& name,
                    const std::string& title, const Metric& metric,
                    const Json& rows) {
  return {name, title, "",
          dump(panel_spec(overview.first(), rows,
                          {.field = "parameters",
                           .title = "parameters",
                           .logarithmic = true,
                           .format = ".2~s"},
                          {.field = metric.name,
                           .title = metric.axis,
                           .logarithmic = metric.logarithmic,
                           .format = metric.logarithmic ? "~g" : ""},
                          {.lines = true, .points = true, .bars = true}))};
}

void performance_figure(const Overview& overview,
                        std::vector<Figure>& figures) {
  Figure figure;
  figure.name = "published-sizes";
  figure.title = "Final performance by size, as the study drew it";
  figure.columns = 2;
  std::size_t fewest = std::size_t(-1);
  for (const Metric& metric : kMetrics) {
    const Json rows = metric_rows(overview, metric, fewest);
    if (rows.empty()) continue;
    figure.panels.push_back(metric_panel(
        overview, figure.name + "-" + metric.name, metric.title, metric, rows));
  }
  if (figure.panels.empty()) return;
  const Json honest = honest_rows(overview);
  if (!honest.empty()) {
    figure.panels.push_back(metric_panel(overview, figure.name + "-interval",
                                         "Held-out loss with 95 % t intervals",
                                         kMetrics.front(), honest));
  }
  figure.caption =
      std::string(kTheirs) +
      "How do the final values change with size? Means; bars of one standard "
      "deviation with n in the denominator, which are no intervals. " +
      (honest.empty() ? "An honest interval of the mean: none with n = " +
                            std::to_string(fewest) + ". "
                      : std::string("The last panel has Student's 95 % "
                                    "interval of each mean instead. ")) +
      overview_phrase(overview) + ".";
  figures.push_back(std::move(figure));
}

}  // namespace

std::vector<Figure> published_size_figures(const Overview& overview) {
  std::vector<Figure> figures;
  if (overview.study->setup.report != kSecondStudy) return figures;
  curves_figure(overview, figures);
  performance_figure(overview, figures);
  return figures;
}

}  // namespace muonlab::study::detail
