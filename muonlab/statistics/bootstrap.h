// Bootstrap intervals over seeds. Resamples are drawn by the counter-based
// generator of core: the same values, seed and number give the same interval.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "muonlab/statistics/sample.h"

namespace muonlab::statistics {

/// Below this many values no bootstrap interval is given by the program: the
/// resamples repeat too few numbers, and the interval is too narrow.
inline constexpr std::size_t kFewestForBootstrap = 8;

/// One sample per group.
using Groups = std::vector<std::vector<double>>;
/// A number computed from all groups; NaN where it is not defined.
using GroupStatistic = std::function<double(const Groups&)>;

enum class Resampling {
  /// Each group by itself, with its own size: unpaired arms, or strata.
  kStratified,
  /// The same positions in every group: position i of all groups is one seed.
  /// Groups then have equal lengths.
  kPaired,
};

struct BootstrapOptions {
  std::size_t resamples = 10'000;
  std::uint64_t seed = 0;
  double alpha = kAlpha;
};

struct Bootstrap {
  double estimate = 0;        ///< of the values themselves
  double standard_error = 0;  ///< standard deviation over the resamples
  /// Shares alpha / 2 cut off each side; too narrow for small n.
  std::optional<Interval> percentile;
  /// Bias-corrected and accelerated (Efron, JASA 1987); unset when leaving one
  /// value out changes nothing.
  std::optional<Interval> bca;
  double bias_correction = 0;  ///< z0 of BCa
  double acceleration = 0;     ///< a of BCa
  /// Resamples where the statistic was not finite. The rest makes the
  /// intervals; both are unset when more than one in twenty are undefined.
  std::size_t undefined = 0;
};

/// Resamples `groups`, each with two values or more. The statistic of the
/// values themselves and of each leave-one-out sample must be finite for BCa.
/// Throws Error(kInvalidArgument) on values that are not finite, on groups of
/// unequal length with kPaired, and on fewer than 100 resamples.
[[nodiscard]] Bootstrap bootstrap(const Groups& groups,
                                  const GroupStatistic& statistic,
                                  Resampling resampling,
                                  const BootstrapOptions& options = {});

/// The same with any pairing: groups with the same number in `strata` share
/// their positions (arms of one size), different numbers are drawn apart.
[[nodiscard]] Bootstrap bootstrap(const Groups& groups,
                                  const GroupStatistic& statistic,
                                  std::span<const std::size_t> strata,
                                  const BootstrapOptions& options = {});

/// Of a statistic of one sample.
[[nodiscard]] Bootstrap bootstrap(
    std::span<const double> values,
    const std::function<double(std::span<const double>)>& statistic,
    const BootstrapOptions& options = {});

/// z0 = Phi^-1 of the share of resamples below the estimate, ties half.
[[nodiscard]] double bca_bias_correction(double estimate,
                                         std::span<const double> resampled);
/// a = 1/6 sum_g sum_i U^3 / n_g^3 / (sum_g sum_i U^2 / n_g^2)^(3/2) with
/// U = (n_g - 1) (mean of the stratum's leave-one-out values - i-th of them):
/// Efron and Tibshirani's (14.15), summed over groups (as SciPy does). Unset
/// when all U are zero.
[[nodiscard]] std::optional<double> bca_acceleration(
    std::span<const std::vector<double>> left_out);

}  // namespace muonlab::statistics
