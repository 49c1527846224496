// What a sample shows by itself: mean, spread, quantiles, correlation. Every
// function refuses samples that are too short, of unequal lengths or not finite
// with Error(kInvalidArgument).
#pragma once

#include <cstddef>
#include <optional>
#include <span>

namespace muonlab::statistics {

/// Below this many seeds a difference gets neither p value nor interval.
inline constexpr std::size_t kFewestForTest = 3;
/// Intervals cover 95 %; a difference is called established below this p.
inline constexpr double kAlpha = 0.05;

struct Interval {
  double low = 0;
  double high = 0;
};

[[nodiscard]] double mean(std::span<const double> values);  ///< n >= 1
/// With n - 1 in the denominator; n >= 2.
[[nodiscard]] double standard_deviation(std::span<const double> values);
/// With n in the denominator (ddof 0); n >= 1.
[[nodiscard]] double population_deviation(std::span<const double> values);

/// Linear interpolation between order statistics: position
/// (n - 1) * probability (Hyndman and Fan, Am. Stat. 1996, type 7); n >= 1,
/// 0 <= probability <= 1.
[[nodiscard]] double quantile(std::span<const double> values,
                              double probability);
[[nodiscard]] double median(std::span<const double> values);  ///< n >= 1

struct Correlation {
  double r = 0;
  /// Two-sided, t = r sqrt((n - 2) / (1 - r^2)) with n - 2 degrees of freedom;
  /// unset below n = 3.
  std::optional<double> p;
};

/// Pearson's r; unset when either side has no spread. n >= 2.
[[nodiscard]] std::optional<Correlation> pearson(std::span<const double> x,
                                                 std::span<const double> y);

}  // namespace muonlab::statistics
