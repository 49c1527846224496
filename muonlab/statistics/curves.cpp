#include "muonlab/statistics/curves.h"

#include <cmath>

#include "muonlab/core/error.h"
#include "muonlab/statistics/sample.h"
#include "muonlab/statistics/sample_internal.h"

namespace muonlab::statistics {

namespace {

void check_curve(std::span<const double> steps, std::span<const double> losses,
                 std::size_t fewest) {
  MUONLAB_CHECK(steps.size() == losses.size(),
                "loss curve: steps and losses differ in number: got ",
                steps.size(), " and ", losses.size());
  check_sample("loss curve: steps", steps, fewest);
  check_sample("loss curve: losses", losses, fewest);
  for (std::size_t i = 1; i < steps.size(); ++i) {
    MUONLAB_CHECK(steps[i] > steps[i - 1],
                  "loss curve: steps do not ascend: got ", steps[i], " after ",
                  steps[i - 1]);
  }
}

}  // namespace

std::optional<double> steps_to_target(std::span<const double> steps,
                                      std::span<const double> losses,
                                      double target) {
  check_curve(steps, losses, 1);
  MUONLAB_CHECK(std::isfinite(target), "steps to target: target: got ", target,
                ", expected a finite number");
  for (std::size_t i = 0; i < steps.size(); ++i) {
    if (losses[i] > target) continue;
    if (i == 0) return steps[0];
    const double share = (losses[i - 1] - target) / (losses[i - 1] - losses[i]);
    return steps[i - 1] + share * (steps[i] - steps[i - 1]);
  }
  return std::nullopt;
}

std::optional<double> steps_to_target(
    std::span<const double> steps,
    std::span<const std::vector<double>> losses_by_seed, double target) {
  MUONLAB_CHECK(!losses_by_seed.empty(), "steps to target: no seed");
  std::vector<double> sums(steps.size(), 0);
  for (const std::vector<double>& losses : losses_by_seed) {
    check_curve(steps, losses, 1);
    for (std::size_t i = 0; i < sums.size(); ++i) sums[i] += losses[i];
  }
  for (double& sum : sums) sum /= static_cast<double>(losses_by_seed.size());
  return steps_to_target(steps, sums, target);
}

double local_exchange_rate(std::span<const double> steps,
                           std::span<const double> losses, std::size_t points) {
  check_curve(steps, losses, 2);
  MUONLAB_CHECK(points >= 2 && points <= steps.size(),
                "exchange rate: points: got ", points, ", expected from 2 to ",
                steps.size());
  const auto x = steps.last(points);
  const auto y = losses.last(points);
  const double center_x = mean(x);
  const double center_y = mean(y);
  double products = 0;
  double squares = 0;
  for (std::size_t i = 0; i < points; ++i) {
    products += (x[i] - center_x) * (y[i] - center_y);
    squares += (x[i] - center_x) * (x[i] - center_x);
  }
  return products / squares;
}

}  // namespace muonlab::statistics
