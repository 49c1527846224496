// What a table of Newton-Schulz steps does to a singular value.
#pragma once

#include <optional>
#include <string_view>

#include "muonlab/linalg/polar_table.h"

namespace muonlab {

/// A singular value that some step sends out of (0, 2].
struct PolarStray {
  double sigma = 0;  ///< where it starts, in (0, 1]
  int step = 0;      ///< counted from 1
  double value = 0;  ///< what the step makes of it
};

/// p is the composition of the steps; sigma is relative to the norm that M is
/// divided by, so that p starts with sigma / safety.
struct PolarConvergence {
  double slope = 0;  ///< p'(0): how much a tiny singular value is lifted
  double smallest = 0;
  double largest = 0;  ///< of p over [lower, 1]
  /// The first sigma with p(sigma) >= 0.7; infinity when there is none.
  double lifted = 0;
  /// True when the last row, repeated, brings all of [lower, 1] to 1 (within
  /// 1e-6). Keller's table does not: it circles.
  bool settles = false;
  /// Of the first step that has one, the farthest, on a grid of some 4,000
  /// sigma per decade down to 1e-8 (below that the steps are linear). A stray
  /// value comes back at best by luck, and in low precision not even so.
  std::optional<PolarStray> stray;
};

/// Numbers of a schedule of `steps` steps. 0 < lower < 1. Takes some
/// milliseconds.
[[nodiscard]] PolarConvergence polar_convergence(const PolarTable& table,
                                                 int steps, double lower);

/// p(sigma) after `steps` steps.
[[nodiscard]] double polar_value(const PolarTable& table, int steps,
                                 double sigma);

/// Throws Error(kInvalidArgument), with sigma and the value, on a table that
/// has a stray within `steps` steps; `who` begins the message. A table that
/// merely does not settle is fine.
void check_polar_table(const PolarTable& table, int steps,
                       std::string_view who);

}  // namespace muonlab
