// Makes Polar Express tables: the best odd polynomial for each step in turn.
#pragma once

#include "muonlab/linalg/polar_table.h"

namespace muonlab {

/// p(x) = ax + bx^3 + cx^5 with the smallest largest |1 - p| on [lower, upper],
/// 0 < lower < upper, by Remez exchange (arXiv 2505.16932, section 4).
[[nodiscard]] Quintic optimal_quintic(double lower, double upper);

/// The same for p(x) = ax + bx^3, in closed form; c = 0.
[[nodiscard]] Quintic optimal_cubic(double lower, double upper);

struct PolarExpressOptions {
  /// Smallest singular value, relative to the largest, that the schedule
  /// brings near 1; in (0, upper).
  double lower = 1e-3;
  double upper = 1;
  int steps = 5;   ///< 1 to 100
  int degree = 5;  ///< of each step: 5 or 3
  /// The polynomial is the best on [max(lower, cushion * upper), upper] and
  /// rescaled around 1: not so steep near zero that it dips at large x. In
  /// [0, 1). The default is what the paper's own rows were made with; its code
  /// says 0.02.
  double cushion = 0.02407327424182761;
  /// Each step but the last is damped by it inside the recursion, and so is
  /// M: see `damped` for the other way, outside. In [1, 2).
  double safety = 1;
};

/// Greedy composition, which the paper proves optimal: each step is the best
/// for the interval that the step before leaves. Throws
/// Error(kInvalidArgument) naming the field.
[[nodiscard]] PolarTable polar_express_table(
    const PolarExpressOptions& options = {});

}  // namespace muonlab
