// How much a wrong learning rate costs.
#pragma once

#include <span>

namespace muonlab::statistics {

/// Wortsman et al. (arXiv 2309.14322): S = mean over eta, log-uniform in
/// [eta* / k, k eta*], of min(l(eta), l0) - l*, nats per token. l is
/// interpolated linearly in log2(eta) between the tried rates, so the mean is
/// an integral of straight pieces. The range is relative to the best tried rate
/// eta*, since optimizers count their rates in different units.
struct Sensitivity {
  double best_rate = 0;  ///< eta*: of the tried rates, the one of smallest loss
  double best_loss = 0;  ///< l*
  double value = 0;      ///< S over the part of the range that was tried
  /// Share of [log2 eta* / k, log2 k eta*] that lies between tried rates;
  /// below 1, `value` is no sensitivity over the whole range.
  double covered = 0;
  bool reaches_low = false;   ///< a rate at or below eta* / k was tried
  bool reaches_high = false;  ///< a rate at or above k eta* was tried
};

/// A loss that is not finite counts as `initial_loss` (the run diverged).
/// Throws Error(kInvalidArgument) on fewer than two rates, rates not positive
/// or given twice, unequal lengths, no finite loss, factor <= 1.
[[nodiscard]] Sensitivity rate_sensitivity(std::span<const double> rates,
                                           std::span<const double> losses,
                                           double initial_loss,
                                           double factor = 8);

/// The rates around the best with l <= l* + tolerance, by the same
/// interpolation. An open side ends at the last tried rate because the edge was
/// not reached: `octaves` is then a lower bound.
struct Basin {
  double low = 0;
  double high = 0;
  double octaves = 0;  ///< log2(high / low)
  bool open_low = false;
  bool open_high = false;
};

/// As rate_sensitivity; tolerance > 0, nats per token.
[[nodiscard]] Basin rate_basin(std::span<const double> rates,
                               std::span<const double> losses,
                               double initial_loss, double tolerance = 0.02);

}  // namespace muonlab::statistics
