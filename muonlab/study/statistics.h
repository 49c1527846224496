// Tests and intervals for a few paired runs: thin formulas, distributions from
// Boost.Math. Every function refuses samples that cannot be tested (too short,
// unequal lengths, not finite) with Error(kInvalidArgument).
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

namespace muonlab::study {

/// Below this many seeds a difference gets neither p value nor interval.
inline constexpr std::size_t kFewestForTest = 3;
/// The sign-flip test enumerates 2^n sign patterns up to this n.
inline constexpr std::size_t kMostForSignFlip = 20;
/// Intervals cover 95 %; a difference is called established below this p.
inline constexpr double kAlpha = 0.05;

struct Interval {
  double low = 0;
  double high = 0;
};

[[nodiscard]] double mean(std::span<const double> values);  ///< n >= 1
/// With n - 1 in the denominator; n >= 2.
[[nodiscard]] double standard_deviation(std::span<const double> values);
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
  std::optional<Interval> interval;  ///< 95 %
};

/// Paired: on d_i = first_i - second_i with n - 1 degrees of freedom; n >= 2.
[[nodiscard]] TTest paired_t_test(std::span<const double> first,
                                  std::span<const double> second);

/// Unpaired, unequal variances (Welch, Biometrika 1947); both n >= 2.
[[nodiscard]] TTest welch_t_test(std::span<const double> first,
                                 std::span<const double> second);

struct SignFlip {
  /// Share of the 2^n sign patterns whose |sum| reaches the observed one;
  /// two-sided, exact. Unset when n < kFewestForTest.
  std::optional<double> p;
  double floor = 0;  ///< the smallest p that n differences can reach: 2 / 2^n
};

/// The exact permutation test of paired differences under symmetry about zero;
/// 2 <= n <= kMostForSignFlip.
[[nodiscard]] SignFlip sign_flip_test(std::span<const double> differences);

/// Holm's step-down adjustment (Scand. J. Statist. 1979) of one family of p
/// values, in the order given: the j-th smallest becomes
/// max over i <= j of min(1, (m - i + 1) p_(i)).
[[nodiscard]] std::vector<double> holm(std::span<const double> p_values);

/// Standardised difference of means with Hedges' small-sample factor
/// 1 - 3 / (4 (n1 + n2) - 9) and the pooled standard deviation; unset when that
/// deviation is zero. Both n >= 2.
[[nodiscard]] std::optional<double> hedges_g(std::span<const double> first,
                                             std::span<const double> second);

}  // namespace muonlab::study
