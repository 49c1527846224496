// Loss against tokens, time and FLOPs: every seed faint, the mean of each arm
// bold. Of a study without final runs: the chosen trials.
#include <algorithm>
#include <cmath>
#include <map>

#include "muonlab/core/text.h"
#include "muonlab/study/figures_internal.h"
#include "muonlab/study/search_keys_internal.h"
#include "muonlab/study/wording_internal.h"

namespace muonlab::study::detail {

namespace {

using Curve = std::vector<CurvePoint>;

// More points than this on a curve cannot be told apart on a screen.
constexpr std::size_t kMostPoints = 200;
// The y axis starts at the highest mean after this share of training: before
// it all arms fall from the same height, which would flatten the rest.
constexpr double kShownFrom = 0.3;

// What a curve is drawn against.
struct Axis {
  const char* field;
  const char* title;
  double (*value)(const CurvePoint& point, const Setup& setup);
};

constexpr Axis kTokens = {"tokens", "training tokens seen",
                          [](const CurvePoint& point, const Setup&) {
                            return static_cast<double>(point.tokens);
                          }};
constexpr Axis kSeconds = {
    "seconds", "seconds of training",
    [](const CurvePoint& point, const Setup&) { return drawn(point.seconds); }};
constexpr Axis kFlops = {
    "flops", "FLOPs of the model",
    [](const CurvePoint& point, const Setup& setup) {
      return drawn(static_cast<double>(point.tokens) * setup.flops_per_token);
    }};

struct Drawing {
  Json seeds = Json::array();
  Json means = Json::array();
  double low = 0;
  double high = 0;
  std::size_t points = 0;  // of the longest mean
  double reach = 0;        // the largest x
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
      sum.seconds += point.seconds;
      ++count;
    }
  }
  Curve result;
  for (const auto& [step, entry] : sums) {
    if (entry.second != curves.size()) continue;
    result.push_back(entry.first);
    result.back().loss /= static_cast<double>(curves.size());
    result.back().seconds /= static_cast<double>(curves.size());
  }
  return result;
}

Json rows_of(const Curve& curve, const std::string& arm, std::uint64_t seed,
             const Axis& axis, const Setup& setup) {
  Json rows = Json::array();
  for (const CurvePoint& point : curve) {
    if (!std::isfinite(point.loss)) continue;
    rows.push_back({{"arm", arm},
                    {"seed", seed},
                    {axis.field, axis.value(point, setup)},
                    {"loss", drawn(point.loss)}});
  }
  return rows;
}

void append(Json& rows, const Json& more) {
  rows.insert(rows.end(), more.begin(), more.end());
}

// Final runs; in a study without any, the chosen trials.
bool is_shown(const Cell& cell, const Arm& arm, const Setup& setup) {
  if (cell.arm != arm.name) return false;
  return setup.final_seeds.empty() ? is_chosen(cell, arm)
                                   : cell.phase == "final";
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
             std::size_t window, const Axis& axis = kTokens) {
  Drawing drawing;
  bool first = true;
  const auto shown_from = static_cast<std::int64_t>(
      kShownFrom * static_cast<double>(tokens_per_run(results.setup)));
  for (const Arm& arm : results.arms) {
    std::vector<Curve> whole;
    for (const Cell& cell : results.cells) {
      if (!is_shown(cell, arm, results.setup)) continue;
      const Curve curve = smoothed(cell.*member, window);
      append(drawing.seeds,
             rows_of(thinned(curve), arm.name, cell.seed, axis, results.setup));
      if (!curve.empty()) {
        drawing.reach =
            std::max(drawing.reach, axis.value(curve.back(), results.setup));
      }
      if (cell.state != "done" || curve.empty()) continue;
      widen(drawing, curve, shown_from, first);
      whole.push_back(curve);
    }
    if (whole.empty()) continue;
    const Curve mean = mean_curve(whole);
    drawing.points = std::max(drawing.points, mean.size());
    append(drawing.means,
           rows_of(thinned(mean), arm.name, 0, axis, results.setup));
  }
  const double pad = 0.04 * (drawing.high - drawing.low);
  drawing.low -= pad;
  drawing.high += pad;
  return drawing;
}

Json curve_spec(const Results& results, const Drawing& drawing,
                const std::string& y_title, bool points,
                const Axis& axis = kTokens) {
  Json spec = spec_frame(340);
  Json seed_mark = {
      {"type", "line"}, {"clip", true}, {"strokeWidth", 1}, {"opacity", 0.25}};
  Json mean_mark = {{"type", "line"}, {"clip", true}, {"strokeWidth", 2.5}};
  if (points) {
    mean_mark["point"] = {{"size", 45}, {"filled", true}};
    mean_mark["tooltip"] = true;
  }
  const Json x = {{"field", axis.field},
                  {"type", "quantitative"},
                  {"title", axis.title},
                  {"axis",
                   {{"format", drawing.reach >= 1e15 ? ".1e" : "~s"},
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
  if (results.setup.final_seeds.empty()) {
    return "the chosen trial of each arm (n = 1, search seed " +
           seeds_text(results.setup.search_seeds) + "); " +
           setting_phrase(results) +
           "; solid: matrix rule, dashed: scalar rule for the hidden matrices.";
  }
  const bool searched =
      std::any_of(results.arms.begin(), results.arms.end(),
                  [](const Arm& arm) { return arm.searched; });
  return "mean over seeds (bold) and each seed (faint), n = " +
         std::to_string(results.setup.final_seeds.size()) + " (seeds " +
         seeds_text(results.setup.final_seeds) + "); " +
         setting_phrase(results) + ". Each arm runs at " +
         (searched ? "its own tuned rates" : "the rates it was given") +
         "; solid: matrix rule, dashed: scalar rule for the hidden matrices.";
}

// The same losses against what they cost.
std::vector<Figure> compute_figures(const Results& results, std::size_t points,
                                    const std::string& shown) {
  std::vector<Figure> figures;
  if (points < 2) return figures;
  const Drawing time = draw(results, &Cell::held_out, 1, kSeconds);
  if (time.reach > 0) {
    figures.push_back(
        {"held-out-time", "Held-out loss against time",
         "Who is ahead after the same time? Held-out loss against seconds of "
         "training (evaluations excluded; the runs may have shared the "
         "machine, so step times of timing runs are the fairer measure), " +
             runs_phrase(results) + shown,
         dump(curve_spec(results, time, "held-out loss, nats per token", true,
                         kSeconds))});
  }
  if (results.setup.flops_per_token > 0) {
    const Drawing flops = draw(results, &Cell::held_out, 1, kFlops);
    figures.push_back(
        {"held-out-flops", "Held-out loss against FLOPs",
         "Who is ahead after the same arithmetic of the model? Forward and "
         "backward of the model; the optimizer's own FLOPs are not in it, so "
         "arms with costly updates look cheaper than they are; " +
             runs_phrase(results) + shown,
         dump(curve_spec(results, flops, "held-out loss, nats per token", true,
                         kFlops))});
  }
  return figures;
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
         "How did the arms get there? Held-out loss during training: " +
             runs_phrase(results) + shown +
             (results.setup.last_rate_share > 0
                  ? " The schedule does not decay to zero."
                  : " Only the last point, with the schedule fully decayed, "
                    "is a result."),
         dump(curve_spec(results, held_out, "held-out loss, nats per token",
                         true))});
  }
  for (Figure& figure : compute_figures(results, held_out.points, shown)) {
    figures.push_back(std::move(figure));
  }
  std::size_t logged = 0;
  for (const Arm& arm : results.arms) {
    for (const Cell& cell : results.cells) {
      if (!is_shown(cell, arm, results.setup)) continue;
      logged = std::max(logged, cell.train.size());
    }
  }
  const std::size_t window = std::max<std::size_t>(1, logged / 24);
  const Drawing train = draw(results, &Cell::train, window);
  if (train.points >= 2) {
    figures.push_back(
        {"training-loss", "Training loss against tokens",
         "Is training itself faster? Training loss, smoothed by a trailing "
         "mean over " +
             count_text(static_cast<std::int64_t>(window), "logged step") +
             ": " + runs_phrase(results) + shown,
         dump(curve_spec(results, train, "training loss, nats per token",
                         false))});
  }
  return figures;
}

}  // namespace muonlab::study::detail
