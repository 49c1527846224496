// Where the loss is smallest between the rates that were tried.
#pragma once

#include <optional>
#include <span>
#include <vector>

namespace muonlab::statistics {

/// loss(rate) = loss + curvature * (log2(rate / optimum))^2.
struct Parabola {
  double optimum = 0;         ///< rate with the smallest fitted loss
  double loss = 0;            ///< fitted loss there, nats per token
  double curvature = 0;       ///< nats per octave squared, positive
  std::vector<double> rates;  ///< the three to five points used, ascending
};

/// Least-squares parabola in log2(rate) through the trial with the smallest
/// loss and its neighbours in rate: the window grows to the side whose next
/// trial is better until it holds five trials or all of them. Unset with fewer
/// than three trials, when the parabola does not open upwards, and when its
/// optimum lies outside the trials used.
///
/// Leave diverged trials out: their loss is a convention, not a measurement.
/// Throws Error(kInvalidArgument) on unequal lengths, values that are not
/// finite, rates that are not positive and rates given twice.
[[nodiscard]] std::optional<Parabola> fit_parabola(
    std::span<const double> rates, std::span<const double> losses);

}  // namespace muonlab::statistics
