#include "muonlab/statistics/holm.h"

#include <algorithm>
#include <cstddef>
#include <numeric>

#include "muonlab/core/error.h"

namespace muonlab::statistics {

std::vector<double> holm(std::span<const double> p_values) {
  for (const double p : p_values) {
    MUONLAB_CHECK(p >= 0 && p <= 1, "Holm adjustment: p value: got ", p,
                  ", expected between 0 and 1");
  }
  const std::size_t m = p_values.size();
  std::vector<std::size_t> order(m);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(
      order.begin(), order.end(),
      [&](std::size_t i, std::size_t j) { return p_values[i] < p_values[j]; });
  std::vector<double> adjusted(m);
  double running = 0;
  for (std::size_t rank = 0; rank < m; ++rank) {
    const double scaled = static_cast<double>(m - rank) * p_values[order[rank]];
    running = std::max(running, std::min(1.0, scaled));
    adjusted[order[rank]] = running;
  }
  return adjusted;
}

}  // namespace muonlab::statistics
