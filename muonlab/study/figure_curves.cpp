// Loss against tokens: every seed faint, the mean of each arm bold.
#include <algorithm>
#include <cmath>
#include <map>

#include "muonlab/core/text.h"
#include "muonlab/study/figures_internal.h"
#include "muonlab/study/wording_internal.h"

namespace muonlab::study::detail {

namespace {

using Curve = std::vector<CurvePoint>;

// More points than this on a curve cannot be told apart on a screen.
constexpr std::size_t kMostPoints = 200;
// The y axis starts at the highest mean after this share of training: before
// it all arms fall from the same height, which would flatten the rest.
constexpr double kShownFrom = 0.3;

struct Drawing {
  Json seeds = Json::array();
  Json means = Json::array();
  double low = 0;
  double high = 0;
  std::size_t points = 0;  // of the longest mean
};

// Trailing moving average over `window` logged values.
Curve smoothed(const Curve& curve, std::size_t window) {
  Curve result = curve;
  double sum = 0;
  for (std::size_t i = 0; i < curve.size(); ++i) {
    sum += curve[i].loss;
    if (i >= window) sum -= curve[i - window].loss;
    result[i].loss = sum / static_cast<double>(std::min(i + 1, window));
  }
  return result;
}

Curve thinned(const Curve& curve) {
  if (curve.size() <= kMostPoints) return curve;
  Curve result;
  for (std::size_t i = 0; i < kMostPoints; ++i) {
    result.push_back(curve[i * (curve.size() - 1) / (kMostPoints - 1)]);
  }
  return result;
}

// Mean over the runs that were not cut short, where all of them have a value.
Curve mean_curve(const std::vector<Curve>& curves) {
  std::map<std::int64_t, std::pair<CurvePoint, std::size_t>> sums;
  for (const Curve& curve : curves) {
    for (const CurvePoint& point : curve) {
      auto& [sum, count] = sums[point.step];
      sum.step = point.step;
      sum.tokens = point.tokens;
      sum.loss += point.loss;
      ++count;
    }
  }
  Curve result;
  for (const auto& [step, entry] : sums) {
    if (entry.second != curves.size()) continue;
    result.push_back(entry.first);
    result.back().loss /= static_cast<double>(curves.size());
  }
  return result;
}

void append(Json& rows, const Curve& curve, const std::string& arm,
            std::uint64_t seed) {
  for (const CurvePoint& point : curve) {
    if (!std::isfinite(point.loss)) continue;
    rows.push_back({{"arm", arm},
                    {"seed", seed},
                    {"tokens", point.tokens},
                    {"loss", drawn(point.loss)}});
  }
}

void widen(Drawing& drawing, const Curve& curve, std::int64_t shown_from,
           bool& first) {
  for (const CurvePoint& point : curve) {
    if (point.tokens < shown_from || !std::isfinite(point.loss)) continue;
    drawing.low = first ? point.loss : std::min(drawing.low, point.loss);
    drawing.high = first ? point.loss : std::max(drawing.high, point.loss);
    first = false;
  }
}

Drawing draw(const Results& results, std::vector<CurvePoint> Cell::* member,
             std::size_t window) {
  Drawing drawing;
  bool first = true;
  const auto shown_from = static_cast<std::int64_t>(
      kShownFrom * static_cast<double>(tokens_per_run(results.setup)));
  for (const Arm& arm : results.arms) {
    std::vector<Curve> whole;
    for (const Cell& cell : results.cells) {
      if (cell.arm != arm.name || cell.phase != "final") continue;
      const Curve curve = smoothed(cell.*member, window);
      append(drawing.seeds, thinned(curve), arm.name, cell.seed);
      if (cell.state != "done" || curve.empty()) continue;
      widen(drawing, curve, shown_from, first);
      whole.push_back(curve);
    }
    if (whole.empty()) continue;
    const Curve mean = mean_curve(whole);
    drawing.points = std::max(drawing.points, mean.size());
    append(drawing.means, thinned(mean), arm.name, 0);
  }
  const double pad = 0.04 * (drawing.high - drawing.low);
  drawing.low -= pad;
  drawing.high += pad;
  return drawing;
}

Json curve_spec(const Results& results, const Drawing& drawing,
                const std::string& y_title, bool points) {
  Json spec = spec_frame(340);
  Json seed_mark = {
      {"type", "line"}, {"clip", true}, {"strokeWidth", 1}, {"opacity", 0.25}};
  Json mean_mark = {{"type", "line"}, {"clip", true}, {"strokeWidth", 2.5}};
  if (points) {
    mean_mark["point"] = {{"size", 45}, {"filled", true}};
    mean_mark["tooltip"] = true;
  }
  const Json x = {{"field", "tokens"},
                  {"type", "quantitative"},
                  {"title", "training tokens seen"},
                  {"axis",
                   {{"format", "~s"},
                    {"labelExpr", "datum.value == 0 ? '0' : datum.label"},
                    {"tickCount", 5}}}};
  const Json y = {{"field", "loss"},
                  {"type", "quantitative"},
                  {"title", y_title},
                  {"scale",
                   {{"domain", {drawn(drawing.low), drawn(drawing.high)}},
                    {"nice", false},
                    {"zero", false}}}};
  Json color = arm_color_channel(results);
  Json dash = arm_dash_channel(results);
  for (Json* channel : {&color, &dash}) {
    (*channel)["legend"] = {{"symbolType", "stroke"}, {"symbolSize", 300}};
  }
  Json seed_encoding = {{"x", x}, {"y", y}, {"color", color}};
  seed_encoding["detail"] = {{"field", "seed"}};
  const Json mean_encoding = {
      {"x", x}, {"y", y}, {"color", color}, {"strokeDash", dash}};
  spec["layer"] = {{{"data", {{"values", drawing.seeds}}},
                    {"mark", seed_mark},
                    {"encoding", seed_encoding}},
                   {{"data", {{"values", drawing.means}}},
                    {"mark", mean_mark},
                    {"encoding", mean_encoding}}};
  return spec;
}

std::string runs_phrase(const Results& results) {
  return "n = " + std::to_string(results.setup.final_seeds.size()) +
         " (seeds " + seeds_text(results.setup.final_seeds) + "); " +
         setting_phrase(results) +
         ". Each arm runs at its own tuned rates; solid: matrix rule, dashed: "
         "scalar rule for the hidden matrices.";
}

}  // namespace

std::vector<Figure> curve_figures(const Results& results) {
  std::vector<Figure> figures;
  const std::string shown =
      " The loss axis shows what happens after the first " +
      core::fixed(100 * kShownFrom, 0) + " % of training.";
  const Drawing held_out = draw(results, &Cell::held_out, 1);
  if (held_out.points >= 2) {
    figures.push_back(
        {"held-out-loss", "Held-out loss against tokens",
         "Held-out loss during the final runs: mean over seeds (bold) and "
         "each seed (faint), " +
             runs_phrase(results) + shown +
             " Only the last point, with the schedule fully decayed, is a "
             "result.",
         dump(curve_spec(results, held_out, "held-out loss, nats per token",
                         true))});
  }
  std::size_t logged = 0;
  for (const Cell& cell : results.cells) {
    if (cell.phase == "final") logged = std::max(logged, cell.train.size());
  }
  const std::size_t window = std::max<std::size_t>(1, logged / 24);
  const Drawing train = draw(results, &Cell::train, window);
  if (train.points >= 2) {
    figures.push_back(
        {"training-loss", "Training loss against tokens",
         "Training loss of the final runs, smoothed by a trailing mean over " +
             count_text(static_cast<std::int64_t>(window), "logged step") +
             ": mean over seeds (bold) and each seed (faint), " +
             runs_phrase(results) + shown,
         dump(curve_spec(results, train, "training loss, nats per token",
                         false))});
  }
  return figures;
}

}  // namespace muonlab::study::detail
