// A power law with a floor: loss against data or against model size.
#pragma once

#include <cstddef>
#include <optional>
#include <span>

namespace muonlab::statistics {

/// With fewer points three parameters can pass through anything.
inline constexpr std::size_t kFewestForPowerLaw = 4;
/// Exponents are searched between these.
inline constexpr double kLowestExponent = 0.01;
inline constexpr double kHighestExponent = 5;

/// y(x) = amplitude * x^-exponent + floor, amplitude > 0, floor >= 0.
struct PowerLaw {
  double amplitude = 0;
  double exponent = 0;
  double floor = 0;
  double rmse = 0;  ///< root of the mean squared residual
  /// The floor would be negative, or the exponent lies at the end of its range:
  /// the points do not determine the law, and neither number means anything.
  bool floor_at_bound = false;
  bool exponent_at_bound = false;

  [[nodiscard]] bool determined() const {
    return !floor_at_bound && !exponent_at_bound;
  }
  [[nodiscard]] double at(double x) const;
  /// The x with y(x) = y; unset for y at or below the floor, where no x is
  /// enough.
  [[nodiscard]] std::optional<double> inverse(double y) const;
};

/// Least squares: for a fixed exponent a linear problem, minimised over the
/// exponent on a grid and then by golden section. Unset when y does not fall
/// with x. Throws Error(kInvalidArgument) on fewer than kFewestForPowerLaw
/// different x (call that a trend), x that are not positive, values that are
/// not finite and unequal lengths.
[[nodiscard]] std::optional<PowerLaw> fit_power_law(std::span<const double> x,
                                                    std::span<const double> y);

}  // namespace muonlab::statistics
