// Many comparisons at once.
#pragma once

#include <span>
#include <vector>

namespace muonlab::statistics {

/// Holm's step-down adjustment (Scand. J. Statist. 1979) of one family of p
/// values, in the order given: the j-th smallest becomes
/// max over i <= j of min(1, (m - i + 1) p_(i)). Throws Error(kInvalidArgument)
/// on a p outside [0, 1].
[[nodiscard]] std::vector<double> holm(std::span<const double> p_values);

}  // namespace muonlab::statistics
