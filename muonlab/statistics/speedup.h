// How much less data an arm needs for the same loss.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "muonlab/statistics/bootstrap.h"

namespace muonlab::statistics {

/// Fully decayed runs of one arm at one horizon.
struct HorizonRuns {
  double horizon = 0;          ///< tokens or steps; any unit, all alike
  std::vector<double> losses;  ///< one for each seed, in the order of seeds
};

enum class SpeedupMethod {
  kPowerLaw,     ///< the reference has four horizons or more
  kInterpolated  ///< straight lines of loss against log horizon between them
};

struct DataSpeedup {
  double horizon = 0;
  /// Where the reference has the arm's loss, and that over `horizon`; unset
  /// when no horizon is enough (the loss is at or below the law's floor).
  std::optional<double> reference_horizon;
  std::optional<double> speedup;
  SpeedupMethod method = SpeedupMethod::kPowerLaw;
  /// The law's floor or exponent lies at its bound: not to be relied on.
  bool undetermined = false;
  /// reference_horizon is outside the horizons that the reference ran.
  bool extrapolated = false;
  /// Of `speedup`, over seeds, which are resampled for all horizons and both
  /// arms at once; unset below kFewestForTest seeds or for unequal numbers of
  /// them. Below kFewestForBootstrap its intervals are too narrow.
  std::optional<Bootstrap> bootstrap;
};

/// One result for each horizon of `arm`. With a power law: L(D) = a D^-B + b
/// fitted to the reference's means, D_eff = ((L - b) / a)^(-1/B), speed-up =
/// D_eff / D. Throws Error(kInvalidArgument) on fewer than two reference
/// horizons, horizons given twice or not positive, cells without a loss, and
/// reference means that do not fall with the horizon.
[[nodiscard]] std::vector<DataSpeedup> data_speedup(
    std::span<const HorizonRuns> reference, std::span<const HorizonRuns> arm,
    const BootstrapOptions& options = {});

}  // namespace muonlab::statistics
