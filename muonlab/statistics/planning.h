// How many seeds a question needs, and what a number of seeds can show. Every
// function throws Error(kInvalidArgument) on values outside its range.
#pragma once

#include <cstddef>
#include <optional>

#include "muonlab/statistics/sample.h"

namespace muonlab::statistics {

enum class Design {
  kPaired,    ///< n pairs; sd is that of the differences
  kTwoGroups  ///< n runs in each of two groups; sd is that of one group
};

/// More runs than this are never asked for.
inline constexpr std::size_t kMostRuns = 1'000'000;

/// Probability that the two-sided t test at `alpha` finds a true difference:
/// the noncentral t distribution with df = n - 1 and ncp = d sqrt(n) / sd, or
/// df = 2 n - 2 and ncp = d / (sd sqrt(2 / n)). sd > 0, n >= 2.
[[nodiscard]] double t_test_power(double difference, double sd, std::size_t n,
                                  Design design, double alpha = kAlpha);

/// The fewest pairs, or runs in each group, with at least that power; never
/// below kFewestForTest. Unset when more than kMostRuns would be needed, for
/// instance for a difference of zero.
[[nodiscard]] std::optional<std::size_t> runs_needed(double difference,
                                                     double sd, Design design,
                                                     double power = 0.8,
                                                     double alpha = kAlpha);

/// Half the width of the interval of the difference: t_{1-alpha/2, n-1}
/// sd / sqrt(n), or t_{1-alpha/2, 2n-2} sd sqrt(2 / n). n >= 2.
[[nodiscard]] double interval_half_width(double sd, std::size_t n,
                                         Design design, double alpha = kAlpha);

/// The smallest p that the exact test can reach: sign flips of n pairs, 2 /
/// 2^n; labels of n + n runs, 2 / C(2n, n).
[[nodiscard]] double smallest_exact_p(std::size_t n, Design design);

/// The fewest n for which `comparisons` exact tests, Holm-adjusted, can reach
/// `alpha`: the first adjusted p is comparisons * smallest_exact_p(n).
[[nodiscard]] std::size_t runs_for_exact_p(std::size_t comparisons,
                                           Design design,
                                           double alpha = kAlpha);

}  // namespace muonlab::statistics
