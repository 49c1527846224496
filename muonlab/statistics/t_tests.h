// Tests and intervals of means by Student's t: thin formulas, the distribution
// from Boost.Math. Every function refuses samples that cannot be tested (too
// short, unequal lengths, not finite) with Error(kInvalidArgument).
#pragma once

#include <optional>
#include <span>

#include "muonlab/statistics/sample.h"

namespace muonlab::statistics {

/// Student's t: the value below which a share `probability` of it lies.
[[nodiscard]] double t_quantile(double probability, double df);

/// A t test of a difference of means.
///
/// `t`, `p` and `interval` are unset when n < kFewestForTest, and when the
/// standard error is zero up to rounding: without spread the test divides by
/// zero, and neither p = 0 nor p = 1 would be true. `spread` tells the two
/// apart.
struct TTest {
  double difference = 0;      ///< mean of the first minus mean of the second
  double standard_error = 0;  ///< of that difference
  double df = 0;
  bool spread = true;  ///< false: zero standard error up to rounding
  std::optional<double> t;
  std::optional<double> p;           ///< two-sided
  std::optional<Interval> interval;  ///< covers 1 - alpha, 95 % by default
};

/// Paired: on d_i = first_i - second_i with n - 1 degrees of freedom; n >= 2.
[[nodiscard]] TTest paired_t_test(std::span<const double> first,
                                  std::span<const double> second,
                                  double alpha = kAlpha);

/// Unpaired, unequal variances (Welch, Biometrika 1947); both n >= 2.
[[nodiscard]] TTest welch_t_test(std::span<const double> first,
                                 std::span<const double> second,
                                 double alpha = kAlpha);

/// Unpaired with one pooled variance and n1 + n2 - 2 degrees of freedom
/// (Student): to recompute what others published. Welch's needs no equal
/// variances and is what this project uses. Both n >= 2.
[[nodiscard]] TTest pooled_t_test(std::span<const double> first,
                                  std::span<const double> second,
                                  double alpha = kAlpha);

/// One sample against a fixed mean; `difference` is mean - expected; n >= 2.
[[nodiscard]] TTest one_sample_t_test(std::span<const double> values,
                                      double expected, double alpha = kAlpha);

/// Two one-sided tests (Schuirmann, J. Pharmacokin. Biopharm. 1987): is the
/// difference within +-margin?
struct Equivalence {
  double margin = 0;
  double p = 1;             ///< the larger of the two one-sided p
  bool equivalent = false;  ///< p < alpha: the 1 - 2 alpha interval is inside
};

/// From a t test's difference, standard error and df; unset when that test has
/// no p. margin > 0.
[[nodiscard]] std::optional<Equivalence> equivalence_test(
    const TTest& test, double margin, double alpha = kAlpha);

}  // namespace muonlab::statistics
