#include "muonlab/statistics/t_tests.h"

#include <algorithm>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <functional>
#include <vector>

#include "muonlab/core/error.h"
#include "muonlab/statistics/sample_internal.h"

namespace muonlab::statistics {

namespace {

void infer(TTest& test, std::size_t fewest, double alpha) {
  check_alpha("t test", alpha);
  if (!test.spread || fewest < kFewestForTest) return;
  const double t = test.difference / test.standard_error;
  const boost::math::students_t distribution(test.df);
  const double half = t_quantile(1 - alpha / 2, test.df) * test.standard_error;
  test.t = t;
  test.p = 2 * cdf(complement(distribution, std::abs(t)));
  test.interval = Interval{test.difference - half, test.difference + half};
}

TTest test_of_mean(std::span<const double> differences, double magnitude,
                   double alpha) {
  const double deviation = standard_deviation(differences);
  const auto n = static_cast<double>(differences.size());
  TTest test;
  test.difference = mean(differences);
  test.standard_error = deviation / std::sqrt(n);
  test.df = n - 1;
  test.spread = !is_rounding(deviation, magnitude);
  infer(test, differences.size(), alpha);
  return test;
}

double squared_error(std::span<const double> values) {
  const double deviation = standard_deviation(values);
  return deviation * deviation / static_cast<double>(values.size());
}

double magnitude_of(std::span<const double> first,
                    std::span<const double> second) {
  return std::max(largest_magnitude(first), largest_magnitude(second));
}

}  // namespace

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
                    std::span<const double> second, double alpha) {
  MUONLAB_CHECK(first.size() == second.size(),
                "paired t test: samples differ in length: got ", first.size(),
                " and ", second.size(), ", expected pairs");
  check_sample("paired t test", first, 2);
  check_sample("paired t test", second, 2);
  std::vector<double> differences(first.size());
  std::transform(first.begin(), first.end(), second.begin(),
                 differences.begin(), std::minus<>());
  return test_of_mean(differences, magnitude_of(first, second), alpha);
}

TTest one_sample_t_test(std::span<const double> values, double expected,
                        double alpha) {
  check_sample("one-sample t test", values, 2);
  MUONLAB_CHECK(std::isfinite(expected),
                "one-sample t test: expected mean: got ", expected,
                ", expected a finite number");
  std::vector<double> differences(values.begin(), values.end());
  for (double& value : differences) value -= expected;
  return test_of_mean(differences,
                      std::max(largest_magnitude(values), std::abs(expected)),
                      alpha);
}

TTest welch_t_test(std::span<const double> first,
                   std::span<const double> second, double alpha) {
  check_sample("Welch t test", first, 2);
  check_sample("Welch t test", second, 2);
  const double a = squared_error(first);
  const double b = squared_error(second);
  TTest test;
  test.difference = mean(first) - mean(second);
  test.standard_error = std::sqrt(a + b);
  test.spread = !is_rounding(test.standard_error, magnitude_of(first, second));
  if (test.spread) {
    test.df = (a + b) * (a + b) /
              (a * a / static_cast<double>(first.size() - 1) +
               b * b / static_cast<double>(second.size() - 1));
  }
  infer(test, std::min(first.size(), second.size()), alpha);
  return test;
}

TTest pooled_t_test(std::span<const double> first,
                    std::span<const double> second, double alpha) {
  check_sample("pooled t test", first, 2);
  check_sample("pooled t test", second, 2);
  const auto n1 = static_cast<double>(first.size());
  const auto n2 = static_cast<double>(second.size());
  const double s1 = standard_deviation(first);
  const double s2 = standard_deviation(second);
  TTest test;
  test.difference = mean(first) - mean(second);
  test.df = n1 + n2 - 2;
  test.standard_error = std::sqrt(((n1 - 1) * s1 * s1 + (n2 - 1) * s2 * s2) /
                                  test.df * (1 / n1 + 1 / n2));
  test.spread = !is_rounding(test.standard_error, magnitude_of(first, second));
  infer(test, std::min(first.size(), second.size()), alpha);
  return test;
}

std::optional<Equivalence> equivalence_test(const TTest& test, double margin,
                                            double alpha) {
  MUONLAB_CHECK(margin > 0 && std::isfinite(margin),
                "equivalence test: margin: got ", margin,
                ", expected a positive number");
  check_alpha("equivalence test", alpha);
  if (!test.p) return std::nullopt;
  const boost::math::students_t distribution(test.df);
  // The nearer bound decides: the other one-sided p is smaller.
  const double t = (margin - std::abs(test.difference)) / test.standard_error;
  Equivalence result;
  result.margin = margin;
  result.p = cdf(complement(distribution, t));
  result.equivalent = result.p < alpha;
  return result;
}

}  // namespace muonlab::statistics
