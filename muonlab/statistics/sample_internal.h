// Checks that the tests share.
#pragma once

#include <cstddef>
#include <span>

namespace muonlab::statistics {

/// Throws Error(kInvalidArgument) that starts with `who` when there are fewer
/// than `fewest` values or one of them is not finite.
void check_sample(const char* who, std::span<const double> values,
                  std::size_t fewest);

/// Throws unless 0 < alpha < 1.
void check_alpha(const char* who, double alpha);

[[nodiscard]] double largest_magnitude(std::span<const double> values);

/// Subtracting and averaging numbers of this size leaves errors of a few units
/// in the last place; a smaller spread is rounding, not data.
[[nodiscard]] bool is_rounding(double deviation, double magnitude);

}  // namespace muonlab::statistics
