// One read of all gradients: what skipping, clipping and the check for
// divergence need to know.
#pragma once

#include <span>
#include <vector>

#include "muonlab/optim/plan.h"

namespace muonlab::optim {

struct GradientFacts {
  /// Largest magnitude by logical matrix, or one value where there are fewer
  /// than two; NaN or infinite where an entry is.
  std::vector<double> largest;
  double sum_of_squares = 0;  ///< of the whole parameter
};

/// For routes whose parameters have dense gradients of the parameter's shape.
/// Float32 gradients on the CPU are read once by the kernels' threads; sums do
/// not depend on their number.
[[nodiscard]] std::vector<GradientFacts> gradient_facts(
    std::span<const Route* const> routes);

}  // namespace muonlab::optim
