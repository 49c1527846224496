// Exact permutation tests: no assumption about the distribution, and a smallest
// p that a given n can reach.
#pragma once

#include <cstddef>
#include <optional>
#include <span>

namespace muonlab::statistics {

/// The sign-flip test enumerates 2^n sign patterns up to this n.
inline constexpr std::size_t kMostForSignFlip = 20;
/// The label test enumerates all ways to split the values up to this many.
inline constexpr double kMostSplits = 4e6;

struct SignFlip {
  /// Share of the 2^n sign patterns whose |sum| reaches the observed one;
  /// two-sided, exact. Unset when n < kFewestForTest.
  std::optional<double> p;
  double floor = 0;  ///< the smallest p that n differences can reach: 2 / 2^n
};

/// The exact permutation test of paired differences under symmetry about zero;
/// 2 <= n <= kMostForSignFlip.
[[nodiscard]] SignFlip sign_flip_test(std::span<const double> differences);

struct LabelPermutation {
  /// Of the C(n1 + n2, n1) splits, the share whose difference of means is at
  /// most the observed one, or the share where it is at least that, whichever
  /// is smaller, doubled; exact. Unset when n1 or n2 < kFewestForTest.
  std::optional<double> p;
  /// The smallest p that these sizes can reach: 2 / splits.
  double floor = 0;
};

/// The number of ways to split n1 + n2 values into n1 and n2.
[[nodiscard]] double label_splits(std::size_t n1, std::size_t n2);

/// The exact permutation test of two groups (Fisher, Pitman); both n >= 2 and
/// at most kMostSplits splits, 12 + 12 for instance.
[[nodiscard]] LabelPermutation label_permutation_test(
    std::span<const double> first, std::span<const double> second);

}  // namespace muonlab::statistics
