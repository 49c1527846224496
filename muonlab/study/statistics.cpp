#include "muonlab/study/statistics.h"

#include <algorithm>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>

#include "muonlab/core/error.h"

namespace muonlab::study {

namespace {

void check_sample(const char* who, std::span<const double> values,
                  std::size_t fewest) {
  MUONLAB_CHECK(values.size() >= fewest, who, ": too few values: got ",
                values.size(), ", expected ", fewest, " or more");
  for (std::size_t i = 0; i < values.size(); ++i) {
    MUONLAB_CHECK(std::isfinite(values[i]), who, ": value ", i,
                  " is not finite: got ", values[i]);
  }
}

double largest_magnitude(std::span<const double> values) {
  double largest = 0;
  for (const double value : values) {
    largest = std::max(largest, std::abs(value));
  }
  return largest;
}

// Subtracting and averaging numbers of this size leaves errors of a few units
// in the last place; a smaller spread is rounding, not data.
bool is_rounding(double deviation, double magnitude) {
  return deviation <= 4 * std::numeric_limits<double>::epsilon() * magnitude;
}

void infer(TTest& test, std::size_t fewest) {
  if (!test.spread || fewest < kFewestForTest) return;
  const double t = test.difference / test.standard_error;
  const boost::math::students_t distribution(test.df);
  const double half = t_quantile(1 - kAlpha / 2, test.df) * test.standard_error;
  test.t = t;
  test.p = 2 * cdf(complement(distribution, std::abs(t)));
  test.interval = Interval{test.difference - half, test.difference + half};
}

}  // namespace

double mean(std::span<const double> values) {
  check_sample("mean", values, 1);
  return std::accumulate(values.begin(), values.end(), 0.0) /
         static_cast<double>(values.size());
}

double standard_deviation(std::span<const double> values) {
  check_sample("standard deviation", values, 2);
  const double center = mean(values);
  double sum = 0;
  for (const double value : values) sum += (value - center) * (value - center);
  return std::sqrt(sum / static_cast<double>(values.size() - 1));
}

double t_quantile(double probability, double df) {
  MUONLAB_CHECK(probability > 0 && probability < 1,
                "t quantile: probability: got ", probability,
                ", expected between 0 and 1");
  MUONLAB_CHECK(df > 0 && std::isfinite(df),
                "t quantile: degrees of freedom: got ", df,
                ", expected a positive number");
  return quantile(boost::math::students_t(df), probability);
}

TTest paired_t_test(std::span<const double> first,
                    std::span<const double> second) {
  MUONLAB_CHECK(first.size() == second.size(),
                "paired t test: samples differ in length: got ", first.size(),
                " and ", second.size(), ", expected pairs");
  check_sample("paired t test", first, 2);
  check_sample("paired t test", second, 2);
  std::vector<double> differences(first.size());
  std::transform(first.begin(), first.end(), second.begin(),
                 differences.begin(), std::minus<>());
  const double deviation = standard_deviation(differences);
  const double magnitude =
      std::max(largest_magnitude(first), largest_magnitude(second));
  const auto n = static_cast<double>(first.size());
  TTest test;
  test.difference = mean(differences);
  test.standard_error = deviation / std::sqrt(n);
  test.df = n - 1;
  test.spread = !is_rounding(deviation, magnitude);
  infer(test, first.size());
  return test;
}

TTest welch_t_test(std::span<const double> first,
                   std::span<const double> second) {
  check_sample("Welch t test", first, 2);
  check_sample("Welch t test", second, 2);
  const auto squared_error = [](std::span<const double> values) {
    const double deviation = standard_deviation(values);
    return deviation * deviation / static_cast<double>(values.size());
  };
  const double a = squared_error(first);
  const double b = squared_error(second);
  TTest test;
  test.difference = mean(first) - mean(second);
  test.standard_error = std::sqrt(a + b);
  test.spread = !is_rounding(
      test.standard_error,
      std::max(largest_magnitude(first), largest_magnitude(second)));
  if (test.spread) {
    test.df = (a + b) * (a + b) /
              (a * a / static_cast<double>(first.size() - 1) +
               b * b / static_cast<double>(second.size() - 1));
  }
  infer(test, std::min(first.size(), second.size()));
  return test;
}

SignFlip sign_flip_test(std::span<const double> differences) {
  check_sample("sign-flip test", differences, 2);
  const std::size_t n = differences.size();
  MUONLAB_CHECK(n <= kMostForSignFlip, "sign-flip test: got ", n,
                " differences, expected at most ", kMostForSignFlip,
                ", since all 2^n sign patterns are tried");
  SignFlip result;
  result.floor = std::ldexp(1.0, 1 - static_cast<int>(n));
  if (n < kFewestForTest) return result;
  double observed = 0;
  double total = 0;
  for (const double d : differences) {
    observed += d;
    total += std::abs(d);
  }
  // Patterns with the same exact sum must count as reaching it although their
  // terms were added in another order.
  const double rounding =
      static_cast<double>(n) * std::numeric_limits<double>::epsilon() * total;
  const double threshold = std::abs(observed) - rounding;
  // A pattern and its mirror image have the same |sum|: half of them suffice.
  const std::uint32_t patterns = std::uint32_t{1} << (n - 1);
  std::uint32_t reached = 0;
  for (std::uint32_t pattern = 0; pattern < patterns; ++pattern) {
    double sum = 0;
    for (std::size_t i = 0; i < n; ++i) {
      sum += ((pattern >> i) & 1U) != 0 ? -differences[i] : differences[i];
    }
    if (std::abs(sum) >= threshold) ++reached;
  }
  result.p = static_cast<double>(reached) / static_cast<double>(patterns);
  return result;
}

std::vector<double> holm(std::span<const double> p_values) {
  for (const double p : p_values) {
    MUONLAB_CHECK(p >= 0 && p <= 1, "Holm adjustment: p value: got ", p,
                  ", expected between 0 and 1");
  }
  const std::size_t m = p_values.size();
  std::vector<std::size_t> order(m);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(
      order.begin(), order.end(),
      [&](std::size_t i, std::size_t j) { return p_values[i] < p_values[j]; });
  std::vector<double> adjusted(m);
  double running = 0;
  for (std::size_t rank = 0; rank < m; ++rank) {
    const double scaled = static_cast<double>(m - rank) * p_values[order[rank]];
    running = std::max(running, std::min(1.0, scaled));
    adjusted[order[rank]] = running;
  }
  return adjusted;
}

std::optional<double> hedges_g(std::span<const double> first,
                               std::span<const double> second) {
  check_sample("Hedges g", first, 2);
  check_sample("Hedges g", second, 2);
  const auto n1 = static_cast<double>(first.size());
  const auto n2 = static_cast<double>(second.size());
  const double s1 = standard_deviation(first);
  const double s2 = standard_deviation(second);
  const double pooled =
      std::sqrt(((n1 - 1) * s1 * s1 + (n2 - 1) * s2 * s2) / (n1 + n2 - 2));
  if (is_rounding(pooled, std::max(largest_magnitude(first),
                                   largest_magnitude(second)))) {
    return std::nullopt;
  }
  const double correction = 1 - 3 / (4 * (n1 + n2) - 9);
  return correction * (mean(first) - mean(second)) / pooled;
}

}  // namespace muonlab::study
