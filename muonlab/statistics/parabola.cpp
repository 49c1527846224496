#include "muonlab/statistics/parabola.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <utility>

#include "muonlab/core/error.h"

namespace muonlab::statistics {

namespace {

constexpr std::size_t kMostPoints = 5;

using Trial = std::pair<double, double>;  // rate, loss

std::vector<Trial> sorted_trials(std::span<const double> rates,
                                 std::span<const double> losses) {
  MUONLAB_CHECK(rates.size() == losses.size(),
                "parabola: rates and losses differ in number: got ",
                rates.size(), " and ", losses.size());
  std::vector<Trial> trials;
  for (std::size_t i = 0; i < rates.size(); ++i) {
    MUONLAB_CHECK(rates[i] > 0 && std::isfinite(rates[i]),
                  "parabola: rate: got ", rates[i],
                  ", expected a positive number");
    MUONLAB_CHECK(std::isfinite(losses[i]), "parabola: loss at rate ", rates[i],
                  " is not finite: got ", losses[i]);
    trials.emplace_back(rates[i], losses[i]);
  }
  std::sort(trials.begin(), trials.end());
  for (std::size_t i = 1; i < trials.size(); ++i) {
    MUONLAB_CHECK(trials[i].first > trials[i - 1].first, "parabola: rate ",
                  trials[i].first, " is given twice");
  }
  return trials;
}

std::span<const Trial> window_around_best(std::span<const Trial> trials) {
  const auto best = std::min_element(
      trials.begin(), trials.end(),
      [](const Trial& a, const Trial& b) { return a.second < b.second; });
  auto first = static_cast<std::size_t>(best - trials.begin());
  std::size_t last = first + 1;  // one past the end
  while (last - first < std::min(kMostPoints, trials.size())) {
    const bool left_ends = first == 0;
    const bool right_ends = last == trials.size();
    const bool go_left = right_ends || (!left_ends && trials[first - 1].second <
                                                          trials[last].second);
    if (go_left) {
      --first;
    } else {
      ++last;
    }
  }
  return trials.subspan(first, last - first);
}

// Normal equations of y = c0 + c1 x + c2 x^2 by Cramer's rule; x is centred, so
// the system is well conditioned for three to five points.
std::array<double, 3> quadratic(std::span<const double> x,
                                std::span<const double> y) {
  std::array<double, 5> s{};
  std::array<double, 3> r{};
  for (std::size_t i = 0; i < x.size(); ++i) {
    double power = 1;
    for (std::size_t k = 0; k < s.size(); ++k) {
      s[k] += power;
      if (k < r.size()) r[k] += power * y[i];
      power *= x[i];
    }
  }
  const auto determinant = [](const std::array<double, 9>& m) {
    return m[0] * (m[4] * m[8] - m[5] * m[7]) -
           m[1] * (m[3] * m[8] - m[5] * m[6]) +
           m[2] * (m[3] * m[7] - m[4] * m[6]);
  };
  const std::array<double, 9> matrix = {s[0], s[1], s[2], s[1], s[2],
                                        s[3], s[2], s[3], s[4]};
  const double denominator = determinant(matrix);
  std::array<double, 3> solution{};
  for (std::size_t column = 0; column < 3; ++column) {
    std::array<double, 9> replaced = matrix;
    for (std::size_t row = 0; row < 3; ++row) {
      replaced[3 * row + column] = r[row];
    }
    solution[column] = determinant(replaced) / denominator;
  }
  return solution;
}

}  // namespace

std::optional<Parabola> fit_parabola(std::span<const double> rates,
                                     std::span<const double> losses) {
  const std::vector<Trial> trials = sorted_trials(rates, losses);
  if (trials.size() < 3) return std::nullopt;
  const std::span<const Trial> used = window_around_best(trials);

  double center = 0;
  for (const Trial& trial : used) center += std::log2(trial.first);
  center /= static_cast<double>(used.size());
  const double level = used.front().second;
  std::vector<double> x;
  std::vector<double> y;
  for (const Trial& trial : used) {
    x.push_back(std::log2(trial.first) - center);
    y.push_back(trial.second - level);
  }
  const auto [c0, c1, c2] = quadratic(x, y);
  if (!(c2 > 0)) return std::nullopt;
  const double vertex = -c1 / (2 * c2);
  if (vertex < x.front() || vertex > x.back()) return std::nullopt;

  Parabola fit;
  fit.optimum = std::exp2(center + vertex);
  fit.loss = level + c0 - c1 * c1 / (4 * c2);
  fit.curvature = c2;
  for (const Trial& trial : used) fit.rates.push_back(trial.first);
  return fit;
}

}  // namespace muonlab::statistics
