#include "muonlab/statistics/sample.h"

#include <algorithm>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "muonlab/core/error.h"
#include "muonlab/statistics/sample_internal.h"

namespace muonlab::statistics {

namespace {

double sum_of_squares(std::span<const double> values) {
  const double center = mean(values);
  double sum = 0;
  for (const double value : values) sum += (value - center) * (value - center);
  return sum;
}

}  // namespace

void check_sample(const char* who, std::span<const double> values,
                  std::size_t fewest) {
  MUONLAB_CHECK(values.size() >= fewest, who, ": too few values: got ",
                values.size(), ", expected ", fewest, " or more");
  for (std::size_t i = 0; i < values.size(); ++i) {
    MUONLAB_CHECK(std::isfinite(values[i]), who, ": value ", i,
                  " is not finite: got ", values[i]);
  }
}

void check_alpha(const char* who, double alpha) {
  MUONLAB_CHECK(alpha > 0 && alpha < 1, who, ": alpha: got ", alpha,
                ", expected between 0 and 1");
}

double largest_magnitude(std::span<const double> values) {
  double largest = 0;
  for (const double value : values) {
    largest = std::max(largest, std::abs(value));
  }
  return largest;
}

bool is_rounding(double deviation, double magnitude) {
  return deviation <= 4 * std::numeric_limits<double>::epsilon() * magnitude;
}

double mean(std::span<const double> values) {
  check_sample("mean", values, 1);
  return std::accumulate(values.begin(), values.end(), 0.0) /
         static_cast<double>(values.size());
}

double standard_deviation(std::span<const double> values) {
  check_sample("standard deviation", values, 2);
  return std::sqrt(sum_of_squares(values) /
                   static_cast<double>(values.size() - 1));
}

double population_deviation(std::span<const double> values) {
  check_sample("population deviation", values, 1);
  return std::sqrt(sum_of_squares(values) / static_cast<double>(values.size()));
}

double quantile(std::span<const double> values, double probability) {
  check_sample("quantile", values, 1);
  MUONLAB_CHECK(probability >= 0 && probability <= 1,
                "quantile: probability: got ", probability,
                ", expected from 0 to 1");
  std::vector<double> sorted(values.begin(), values.end());
  std::sort(sorted.begin(), sorted.end());
  const double position = static_cast<double>(sorted.size() - 1) * probability;
  const auto below = static_cast<std::size_t>(position);
  if (below + 1 == sorted.size()) return sorted.back();
  return std::lerp(sorted[below], sorted[below + 1],
                   position - static_cast<double>(below));
}

double median(std::span<const double> values) { return quantile(values, 0.5); }

std::optional<Correlation> pearson(std::span<const double> x,
                                   std::span<const double> y) {
  MUONLAB_CHECK(x.size() == y.size(),
                "Pearson's r: samples differ in length: got ", x.size(),
                " and ", y.size(), ", expected pairs");
  check_sample("Pearson's r", x, 2);
  check_sample("Pearson's r", y, 2);
  if (is_rounding(standard_deviation(x), largest_magnitude(x)) ||
      is_rounding(standard_deviation(y), largest_magnitude(y))) {
    return std::nullopt;
  }
  const double center_x = mean(x);
  const double center_y = mean(y);
  double product = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    product += (x[i] - center_x) * (y[i] - center_y);
  }
  Correlation found;
  found.r = std::clamp(
      product / std::sqrt(sum_of_squares(x) * sum_of_squares(y)), -1.0, 1.0);
  if (x.size() < kFewestForTest) return found;
  const double df = static_cast<double>(x.size() - 2);
  const double rest = (1 - found.r) * (1 + found.r);
  found.p = rest == 0
                ? 0
                : 2 * cdf(complement(boost::math::students_t(df),
                                     std::abs(found.r) * std::sqrt(df / rest)));
  return found;
}

}  // namespace muonlab::statistics
