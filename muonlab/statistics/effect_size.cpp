#include "muonlab/statistics/effect_size.h"

#include <algorithm>
#include <cmath>

#include "muonlab/statistics/sample.h"
#include "muonlab/statistics/sample_internal.h"

namespace muonlab::statistics {

std::optional<double> hedges_g(std::span<const double> first,
                               std::span<const double> second) {
  check_sample("Hedges g", first, 2);
  check_sample("Hedges g", second, 2);
  const auto n1 = static_cast<double>(first.size());
  const auto n2 = static_cast<double>(second.size());
  const double s1 = standard_deviation(first);
  const double s2 = standard_deviation(second);
  const double pooled =
      std::sqrt(((n1 - 1) * s1 * s1 + (n2 - 1) * s2 * s2) / (n1 + n2 - 2));
  if (is_rounding(pooled, std::max(largest_magnitude(first),
                                   largest_magnitude(second)))) {
    return std::nullopt;
  }
  const double correction = 1 - 3 / (4 * (n1 + n2) - 9);
  return correction * (mean(first) - mean(second)) / pooled;
}

double probability_of_improvement(std::span<const double> first,
                                  std::span<const double> second) {
  check_sample("probability of improvement", first, 1);
  check_sample("probability of improvement", second, 1);
  double halves = 0;
  for (const double x : first) {
    for (const double y : second) {
      if (x < y) {
        halves += 2;
      } else if (x == y) {
        halves += 1;
      }
    }
  }
  return halves / (2 * static_cast<double>(first.size()) *
                   static_cast<double>(second.size()));
}

}  // namespace muonlab::statistics
