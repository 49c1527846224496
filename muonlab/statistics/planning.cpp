#include "muonlab/statistics/planning.h"

#include <boost/math/distributions/non_central_t.hpp>
#include <cmath>

#include "muonlab/core/error.h"
#include "muonlab/statistics/permutation.h"
#include "muonlab/statistics/sample_internal.h"
#include "muonlab/statistics/t_tests.h"

namespace muonlab::statistics {

namespace {

void check_plan(double sd, std::size_t n) {
  MUONLAB_CHECK(sd > 0 && std::isfinite(sd),
                "planning: standard deviation: got ", sd,
                ", expected a positive number");
  MUONLAB_CHECK(n >= 2, "planning: number of runs: got ", n,
                ", expected 2 or more");
}

double degrees(std::size_t n, Design design) {
  const auto rest = static_cast<double>(n - 1);
  return design == Design::kPaired ? rest : 2 * rest;
}

double standard_error(double sd, std::size_t n, Design design) {
  const double groups = design == Design::kPaired ? 1 : 2;
  return sd * std::sqrt(groups / static_cast<double>(n));
}

}  // namespace

double t_test_power(double difference, double sd, std::size_t n, Design design,
                    double alpha) {
  check_plan(sd, n);
  check_alpha("planning", alpha);
  MUONLAB_CHECK(std::isfinite(difference), "planning: difference: got ",
                difference, ", expected a finite number");
  const double df = degrees(n, design);
  const double bound = t_quantile(1 - alpha / 2, df);
  const double shift = std::abs(difference) / standard_error(sd, n, design);
  // Beyond this the power is 1 to the last digit, and the series would be slow.
  if (shift > bound + 40 * (1 + bound / std::sqrt(df))) return 1;
  const boost::math::non_central_t distribution(df, shift);
  return cdf(complement(distribution, bound)) + cdf(distribution, -bound);
}

std::optional<std::size_t> runs_needed(double difference, double sd,
                                       Design design, double power,
                                       double alpha) {
  MUONLAB_CHECK(power > 0 && power < 1, "planning: power: got ", power,
                ", expected between 0 and 1");
  const auto enough = [&](std::size_t n) {
    return t_test_power(difference, sd, n, design, alpha) >= power;
  };
  std::size_t high = kFewestForTest;
  if (enough(high)) return high;
  if (difference == 0) return std::nullopt;
  // Power grows with n: double, then halve the bracket.
  std::size_t low = high;
  do {
    low = high;
    high *= 2;
    if (high > kMostRuns) return std::nullopt;
  } while (!enough(high));
  while (high - low > 1) {
    const std::size_t middle = low + (high - low) / 2;
    (enough(middle) ? high : low) = middle;
  }
  return high;
}

double interval_half_width(double sd, std::size_t n, Design design,
                           double alpha) {
  check_plan(sd, n);
  check_alpha("planning", alpha);
  return t_quantile(1 - alpha / 2, degrees(n, design)) *
         standard_error(sd, n, design);
}

double smallest_exact_p(std::size_t n, Design design) {
  MUONLAB_CHECK(n >= 1, "planning: number of runs: got 0, expected 1 or more");
  if (design == Design::kPaired) {
    return std::ldexp(1.0, 1 - static_cast<int>(n));
  }
  return 2 / label_splits(n, n);
}

std::size_t runs_for_exact_p(std::size_t comparisons, Design design,
                             double alpha) {
  check_alpha("planning", alpha);
  MUONLAB_CHECK(comparisons >= 1,
                "planning: comparisons: got 0, expected 1 or more");
  std::size_t n = kFewestForTest;
  while (static_cast<double>(comparisons) * smallest_exact_p(n, design) >
         alpha) {
    ++n;
  }
  return n;
}

}  // namespace muonlab::statistics
