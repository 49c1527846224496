// Scaling with model size: L(N) = E + A N^-alpha per arm, whether two arms have
// the same alpha, and trends against log N.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "muonlab/statistics/bootstrap.h"
#include "muonlab/statistics/power_law.h"

namespace muonlab::statistics {

/// Runs of one arm at one model size.
struct SizeRuns {
  double parameters = 0;
  std::vector<double> losses;  ///< one for each seed
};

struct ScalingFit {
  PowerLaw law;  ///< amplitude A, exponent alpha, floor E
  /// Of alpha: seeds resampled in each size by itself. Unset when a size has
  /// fewer than kFewestForTest runs.
  std::optional<Bootstrap> alpha;
};

/// Fits the means of each size. Unset when the loss does not fall with size.
/// Throws Error(kInvalidArgument) on fewer than kFewestForPowerLaw sizes.
[[nodiscard]] std::optional<ScalingFit> scaling_fit(
    std::span<const SizeRuns> runs, const BootstrapOptions& options = {});

/// alpha of the first arm minus alpha of the second. The arms have the same
/// sizes in the same order and the same seeds in each, which are resampled
/// together. Unset when one arm's loss does not fall with size. Throws
/// Error(kInvalidArgument), also on fewer than kFewestForTest seeds.
[[nodiscard]] std::optional<Bootstrap> exponent_difference(
    std::span<const SizeRuns> first, std::span<const SizeRuns> second,
    const BootstrapOptions& options = {});

/// A straight line y = intercept + slope ln(size) by least squares.
struct LogTrend {
  double slope = 0;  ///< per unit of natural log: times ln 2 per doubling
  double intercept = 0;
  double df = 0;  ///< points - 2
  /// Student's t with df; unset without residuals (all points on the line).
  std::optional<double> p;
  std::optional<Interval> interval;
};

/// Three different sizes or more. Throws Error(kInvalidArgument).
[[nodiscard]] LogTrend trend_against_log(std::span<const double> sizes,
                                         std::span<const double> values,
                                         double alpha = kAlpha);

}  // namespace muonlab::statistics
