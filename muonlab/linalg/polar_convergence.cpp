#include "muonlab/linalg/polar_convergence.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "muonlab/core/error.h"
#include "muonlab/core/text.h"

namespace muonlab {

namespace {

constexpr double kLifted = 0.7;
constexpr double kLowest = 1e-8;
constexpr double kPerDecade = 4000;
// Half the width of (0, 2], and room for rounding: a minimax step that starts
// from nearly zero reaches both ends.
constexpr double kBand = 1 + 1e-9;

const Quintic& row_of(const PolarTable& table, int step) {
  return table
      .rows[std::min(static_cast<std::size_t>(step), table.rows.size() - 1)];
}

double stepped(const Quintic& q, double x) {
  const double x2 = x * x;
  return x * (q.a + x2 * (q.b + x2 * q.c));
}

// Log-spaced, both ends included.
std::vector<double> grid(double lower) {
  const double decades = -std::log10(lower);
  const auto count = static_cast<int>(std::ceil(decades * kPerDecade));
  std::vector<double> points;
  for (int i = 0; i <= count; ++i) {
    points.push_back(std::pow(10.0, -decades * (count - i) / count));
  }
  return points;
}

// Of the first step that has one, the farthest from 1.
std::optional<PolarStray> first_stray(const PolarTable& table, int steps) {
  const std::vector<double> sigmas = grid(kLowest);
  std::vector<double> values;
  for (const double sigma : sigmas) values.push_back(sigma / table.safety);
  for (int step = 0; step < steps; ++step) {
    std::optional<PolarStray> stray;
    for (std::size_t i = 0; i < values.size(); ++i) {
      values[i] = stepped(row_of(table, step), values[i]);
      const double off = std::abs(values[i] - 1);
      // Written so that NaN strays.
      if (!(off <= kBand) && (!stray || off > std::abs(stray->value - 1))) {
        stray = {sigmas[i], step + 1, values[i]};
      }
    }
    if (stray) return stray;
  }
  return std::nullopt;
}

// Between two points of the grid: by halving.
double crossing(const PolarTable& table, int steps, double below,
                double above) {
  for (int i = 0; i < 50; ++i) {
    const double middle = std::sqrt(below * above);
    (polar_value(table, steps, middle) >= kLifted ? above : below) = middle;
  }
  return above;
}

double first_lifted(const PolarTable& table, int steps) {
  double before = kLowest;
  for (const double sigma : grid(kLowest)) {
    if (polar_value(table, steps, sigma) >= kLifted) {
      return crossing(table, steps, before, sigma);
    }
    before = sigma;
  }
  return std::numeric_limits<double>::infinity();
}

}  // namespace

double polar_value(const PolarTable& table, int steps, double sigma) {
  double x = sigma / table.safety;
  for (int step = 0; step < steps; ++step) x = stepped(row_of(table, step), x);
  return x;
}

PolarConvergence polar_convergence(const PolarTable& table, int steps,
                                   double lower) {
  MUONLAB_CHECK(!table.rows.empty(), "polar convergence: a table without rows");
  MUONLAB_CHECK(lower > 0 && lower < 1, "polar convergence: lower: got ", lower,
                ", expected more than 0 and less than 1");
  constexpr double kSettled = 1e-6;
  constexpr int kMore = 100;
  PolarConvergence result;
  result.slope = 1 / table.safety;
  for (int step = 0; step < steps; ++step) {
    result.slope *= row_of(table, step).a;
  }
  result.smallest = std::numeric_limits<double>::infinity();
  result.largest = -result.smallest;
  result.settles = true;
  for (const double sigma : grid(lower)) {
    double x = polar_value(table, steps, sigma);
    result.smallest = std::min(result.smallest, x);
    result.largest = std::max(result.largest, x);
    for (int i = 0; i < kMore; ++i) x = stepped(table.rows.back(), x);
    if (!(std::abs(x - 1) <= kSettled)) result.settles = false;
  }
  result.lifted = first_lifted(table, steps);
  result.stray = first_stray(table, steps);
  return result;
}

void check_polar_table(const PolarTable& table, int steps,
                       std::string_view who) {
  const std::optional<PolarStray> stray = first_stray(table, steps);
  if (!stray) return;
  throw Error(ErrorKind::kInvalidArgument,
              concat(who, ": step ", stray->step, " takes the singular value ",
                     stray->sigma, " (of the norm) to ", stray->value,
                     ", expected values in (0, 2]"),
              "check the rows' signs and order, or give a larger safety");
}

}  // namespace muonlab
