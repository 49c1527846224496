#include "muonlab/statistics/power_law.h"

#include <cmath>
#include <limits>
#include <numbers>
#include <set>
#include <vector>

#include "muonlab/core/error.h"
#include "muonlab/statistics/sample_internal.h"

namespace muonlab::statistics {

namespace {

constexpr int kGridIntervals = 64;
// Each shrinks the bracket of log exponent, about 0.2 wide, by 0.618; a minimum
// is not resolved below the root of epsilon.
constexpr int kGoldenSteps = 40;

struct LinearFit {
  double amplitude = 0;  // of (x / scale)^-exponent
  double floor = 0;
  double squares = std::numeric_limits<double>::infinity();
  bool at_bound = false;
};

// y = amplitude * u + floor for u = exp(-exponent * log_x).
LinearFit fit_linear(std::span<const double> log_x, std::span<const double> y,
                     double exponent) {
  const auto n = static_cast<double>(y.size());
  double mean_u = 0;
  double mean_y = 0;
  for (std::size_t i = 0; i < y.size(); ++i) {
    mean_u += std::exp(-exponent * log_x[i]) / n;
    mean_y += y[i] / n;
  }
  double uu = 0;
  double uy = 0;
  for (std::size_t i = 0; i < y.size(); ++i) {
    const double u = std::exp(-exponent * log_x[i]) - mean_u;
    uu += u * u;
    uy += u * (y[i] - mean_y);
  }
  LinearFit fit;
  fit.amplitude = uy / uu;
  fit.floor = mean_y - fit.amplitude * mean_u;
  if (fit.floor < 0) {
    fit.at_bound = true;
    fit.floor = 0;
    fit.amplitude = (uy + n * mean_u * mean_y) / (uu + n * mean_u * mean_u);
  }
  if (!(fit.amplitude > 0)) return {};
  fit.squares = 0;
  for (std::size_t i = 0; i < y.size(); ++i) {
    const double residual =
        fit.amplitude * std::exp(-exponent * log_x[i]) + fit.floor - y[i];
    fit.squares += residual * residual;
  }
  return fit;
}

// The log of the exponent in [low, high] with the smallest squares.
double golden_section(std::span<const double> log_x, std::span<const double> y,
                      double low, double high) {
  const double ratio = 1 / std::numbers::phi;
  const auto squares = [&](double log_exponent) {
    return fit_linear(log_x, y, std::exp(log_exponent)).squares;
  };
  double left = high - ratio * (high - low);
  double right = low + ratio * (high - low);
  double at_left = squares(left);
  double at_right = squares(right);
  for (int i = 0; i < kGoldenSteps; ++i) {
    if (at_left < at_right) {
      high = right;
      right = left;
      at_right = at_left;
      left = high - ratio * (high - low);
      at_left = squares(left);
    } else {
      low = left;
      left = right;
      at_left = at_right;
      right = low + ratio * (high - low);
      at_right = squares(right);
    }
  }
  return (low + high) / 2;
}

void check_points(std::span<const double> x, std::span<const double> y) {
  MUONLAB_CHECK(x.size() == y.size(),
                "power law: points differ in number: got ", x.size(), " and ",
                y.size());
  check_sample("power law", x, 1);
  check_sample("power law", y, 1);
  for (const double value : x) {
    MUONLAB_CHECK(value > 0, "power law: got ", value,
                  ", expected a positive number");
  }
  const std::set<double> different(x.begin(), x.end());
  MUONLAB_CHECK(different.size() >= kFewestForPowerLaw, "power law: got ",
                different.size(), " different points, expected ",
                kFewestForPowerLaw,
                " or more for its three parameters; call fewer a trend");
}

}  // namespace

double PowerLaw::at(double x) const {
  return amplitude * std::pow(x, -exponent) + floor;
}

std::optional<double> PowerLaw::inverse(double y) const {
  if (!(y > floor)) return std::nullopt;
  return std::pow((y - floor) / amplitude, -1 / exponent);
}

std::optional<PowerLaw> fit_power_law(std::span<const double> x,
                                      std::span<const double> y) {
  check_points(x, y);
  // Measured from the geometric mean of x, so that no power overflows.
  std::vector<double> log_x;
  double center = 0;
  for (const double value : x) {
    log_x.push_back(std::log(value));
    center += log_x.back() / static_cast<double>(x.size());
  }
  for (double& value : log_x) value -= center;
  const double lowest = std::log(kLowestExponent);
  const double interval =
      (std::log(kHighestExponent) - lowest) / kGridIntervals;
  int best = 0;
  double least = std::numeric_limits<double>::infinity();
  for (int i = 0; i <= kGridIntervals; ++i) {
    const double squares =
        fit_linear(log_x, y, std::exp(lowest + i * interval)).squares;
    if (squares < least) {
      least = squares;
      best = i;
    }
  }
  if (!std::isfinite(least)) return std::nullopt;
  PowerLaw law;
  law.exponent_at_bound = best == 0 || best == kGridIntervals;
  const double log_exponent =
      law.exponent_at_bound
          ? lowest + best * interval
          : golden_section(log_x, y, lowest + (best - 1) * interval,
                           lowest + (best + 1) * interval);
  law.exponent = std::exp(log_exponent);
  const LinearFit fit = fit_linear(log_x, y, law.exponent);
  law.amplitude = fit.amplitude * std::exp(law.exponent * center);
  law.floor = fit.floor;
  law.floor_at_bound = fit.at_bound;
  law.rmse = std::sqrt(fit.squares / static_cast<double>(y.size()));
  return law;
}

}  // namespace muonlab::statistics
