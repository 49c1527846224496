// Coefficients of the Newton-Schulz iterations, by name.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace muonlab {

/// One quintic step acts on each singular value as a*s + b*s^3 + c*s^5.
struct Quintic {
  double a = 0, b = 0, c = 0;
  bool operator==(const Quintic&) const = default;
};

/// A schedule of steps. Step i takes row min(i, last). Rows with c = 0 are
/// cubic and cost one product less.
struct PolarTable {
  std::string_view name = {};
  std::vector<Quintic> rows = {};
  /// X0 = M / (safety * norm + eps): room for steps that overshoot.
  double safety = 1;
  std::string_view source = {};
  /// Tuned for what PolarNorm::kAol leaves, and refused with another norm.
  bool aol = false;
};

/// Throws Error(kInvalidArgument) on another name, with the nearest one.
///
///   keller   K. Jordan's Muon: does not converge, leaves singular values in
///            about [0.68, 1.13]
///   taylor   (15/8, -5/4, 3/8): converges, cubically
///   cubic    (3/2, -1/2, 0): converges, quadratically
///   simple   (2, -3/2, 1/2): converges, quadratically; meant for 12 steps
///   su1, su-x3, you5, you6   tuned by hand or search for 5 or 6 steps
///   polar-express  (arXiv 2505.16932), -eo, -modded, -nanochat, -dao: minimax
///                  schedules with various room for rounding
///   cans     Chebyshev schedule (arXiv 2506.10935)
///   cubic5   five cubic steps (arXiv 2606.00371)
///   deepseek-v4  eight keller steps, then simple ones: converges
///   aol-turbo, aol-dion   four steps behind PolarNorm::kAol, and only there.
///            The first sends singular values above .884 to the other sign:
///            those of a matrix whose rows are nearly orthogonal, which AOL
///            leaves near 1.
[[nodiscard]] const PolarTable& polar_table(std::string_view name);
[[nodiscard]] const std::vector<std::string>& polar_table_names();

/// Rows but the last over (s, s^3, s^5), as if the argument were s times
/// smaller: how published schedules make room for rounding. The last row, which
/// repeats, stays.
[[nodiscard]] std::vector<Quintic> damped(std::vector<Quintic> rows, double s);

}  // namespace muonlab
