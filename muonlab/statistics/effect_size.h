// How large a difference is, apart from whether it is established.
#pragma once

#include <optional>
#include <span>

namespace muonlab::statistics {

/// Standardised difference of means with Hedges' small-sample factor
/// 1 - 3 / (4 (n1 + n2) - 9) and the pooled standard deviation; unset when that
/// deviation is zero. Both n >= 2. Throws Error(kInvalidArgument).
[[nodiscard]] std::optional<double> hedges_g(std::span<const double> first,
                                             std::span<const double> second);

/// P(X < Y) + P(X = Y) / 2 over all pairs of one value of each: the probability
/// that a run of the first has the smaller value (Mann-Whitney's U / (n1 n2)).
/// Both n >= 1. Throws Error(kInvalidArgument).
[[nodiscard]] double probability_of_improvement(std::span<const double> first,
                                                std::span<const double> second);

}  // namespace muonlab::statistics
