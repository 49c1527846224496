// What a loss curve says: when it reaches a target, and how fast it still
// falls. Losses are in nats per token, steps count optimizer steps. Every
// function throws Error(kInvalidArgument) on unequal lengths, values that are
// not finite and steps that do not ascend.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

namespace muonlab::statistics {

/// The first step at which the loss is at or below `target`, interpolated
/// linearly between evaluations; unset when no evaluation gets there. A target
/// reached at the first evaluation gives that evaluation's step.
[[nodiscard]] std::optional<double> steps_to_target(
    std::span<const double> steps, std::span<const double> losses,
    double target);

/// Of several seeds, evaluated at the same steps: the first step at which the
/// mean over seeds reaches the target, never the mean of each run's own step,
/// which would favour a lucky dip.
[[nodiscard]] std::optional<double> steps_to_target(
    std::span<const double> steps,
    std::span<const std::vector<double>> losses_by_seed, double target);

/// dL/dstep near the end, nats per token and step, usually negative: the
/// least-squares slope of the last `points` evaluations (2 or more). A loss
/// difference divided by it is about that many steps.
[[nodiscard]] double local_exchange_rate(std::span<const double> steps,
                                         std::span<const double> losses,
                                         std::size_t points);

}  // namespace muonlab::statistics
