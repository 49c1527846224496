#include "muonlab/statistics/sensitivity.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>
#include <vector>

#include "muonlab/core/error.h"

namespace muonlab::statistics {

namespace {

struct Point {
  double x = 0;  // log2 of the rate
  double loss = 0;
};

struct Sweep {
  std::vector<Point> points;  // ascending in x
  std::size_t best = 0;
};

Sweep sweep_of(std::span<const double> rates, std::span<const double> losses,
               double initial_loss) {
  MUONLAB_CHECK(rates.size() == losses.size(),
                "sensitivity: rates and losses differ in number: got ",
                rates.size(), " and ", losses.size());
  MUONLAB_CHECK(rates.size() >= 2, "sensitivity: got ", rates.size(),
                " rates, expected two or more");
  MUONLAB_CHECK(std::isfinite(initial_loss), "sensitivity: initial loss: got ",
                initial_loss, ", expected a finite number");
  Sweep sweep;
  bool measured = false;
  for (std::size_t i = 0; i < rates.size(); ++i) {
    MUONLAB_CHECK(rates[i] > 0 && std::isfinite(rates[i]),
                  "sensitivity: rate: got ", rates[i],
                  ", expected a positive number");
    const bool finite = std::isfinite(losses[i]);
    measured = measured || finite;
    sweep.points.push_back(
        {std::log2(rates[i]), finite ? losses[i] : initial_loss});
  }
  MUONLAB_CHECK(measured, "sensitivity: no rate has a finite loss");
  std::sort(sweep.points.begin(), sweep.points.end(),
            [](const Point& a, const Point& b) { return a.x < b.x; });
  for (std::size_t i = 1; i < sweep.points.size(); ++i) {
    MUONLAB_CHECK(sweep.points[i].x > sweep.points[i - 1].x,
                  "sensitivity: rate ", std::exp2(sweep.points[i].x),
                  " is given twice");
    if (sweep.points[i].loss < sweep.points[sweep.best].loss) sweep.best = i;
  }
  return sweep;
}

double loss_at(const Point& a, const Point& b, double x) {
  return std::lerp(a.loss, b.loss, (x - a.x) / (b.x - a.x));
}

double crossing(const Point& a, const Point& b, double loss) {
  return std::lerp(a.x, b.x, (loss - a.loss) / (b.loss - a.loss));
}

// The integral of min(l, cap) over [low, high] within one straight piece.
double capped_integral(const Point& a, const Point& b, double low, double high,
                       double cap) {
  const auto straight = [&](double from, double to) {
    return (to - from) *
           (std::min(loss_at(a, b, from), cap) +
            std::min(loss_at(a, b, to), cap)) /
           2;
  };
  const bool crosses =
      (loss_at(a, b, low) > cap) != (loss_at(a, b, high) > cap);
  if (!crosses) return straight(low, high);
  const double middle = std::clamp(crossing(a, b, cap), low, high);
  return straight(low, middle) + straight(middle, high);
}

}  // namespace

Sensitivity rate_sensitivity(std::span<const double> rates,
                             std::span<const double> losses,
                             double initial_loss, double factor) {
  MUONLAB_CHECK(factor > 1 && std::isfinite(factor),
                "sensitivity: factor: got ", factor, ", expected more than 1");
  const Sweep sweep = sweep_of(rates, losses, initial_loss);
  const auto& points = sweep.points;
  const Point& best = points[sweep.best];
  const double low = best.x - std::log2(factor);
  const double high = best.x + std::log2(factor);
  // Rates such as 0.002 and 0.016 are a factor of 8 apart up to rounding.
  const double slack = 1e-9;
  Sensitivity result;
  result.best_rate = std::exp2(best.x);
  result.best_loss = best.loss;
  result.reaches_low = points.front().x <= low + slack;
  result.reaches_high = points.back().x >= high - slack;
  double integral = 0;
  double length = 0;
  for (std::size_t i = 1; i < points.size(); ++i) {
    const double from = std::max(points[i - 1].x, low);
    const double to = std::min(points[i].x, high);
    if (to <= from) continue;
    integral +=
        capped_integral(points[i - 1], points[i], from, to, initial_loss);
    length += to - from;
  }
  result.value = integral / length - best.loss;
  result.covered =
      result.reaches_low && result.reaches_high ? 1 : length / (high - low);
  return result;
}

Basin rate_basin(std::span<const double> rates, std::span<const double> losses,
                 double initial_loss, double tolerance) {
  MUONLAB_CHECK(tolerance > 0 && std::isfinite(tolerance),
                "sensitivity: tolerance: got ", tolerance,
                ", expected a positive number");
  const Sweep sweep = sweep_of(rates, losses, initial_loss);
  const auto& points = sweep.points;
  const double edge = points[sweep.best].loss + tolerance;
  Basin basin;
  std::size_t left = sweep.best;
  while (left > 0 && points[left - 1].loss <= edge) --left;
  std::size_t right = sweep.best;
  while (right + 1 < points.size() && points[right + 1].loss <= edge) ++right;
  basin.open_low = left == 0;
  basin.open_high = right + 1 == points.size();
  const double low = basin.open_low
                         ? points[left].x
                         : crossing(points[left], points[left - 1], edge);
  const double high = basin.open_high
                          ? points[right].x
                          : crossing(points[right], points[right + 1], edge);
  basin.low = std::exp2(low);
  basin.high = std::exp2(high);
  basin.octaves = high - low;
  return basin;
}

}  // namespace muonlab::statistics
