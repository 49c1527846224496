#include <algorithm>
#include <cmath>
#include <iterator>

#include "muonlab/core/error.h"
#include "muonlab/statistics/parabola.h"
#include "muonlab/study/sweep_internal.h"

namespace muonlab::study::detail {

double between(double a, double b) {
  return a > 0 && b > 0 ? std::sqrt(a * b) : (a + b) / 2;
}

std::vector<Key> keys_of(const ArmPlan& arm) {
  std::vector<Key> keys;
  if (arm.is_joint()) {
    keys.push_back({"joint", arm.joint});
  } else {
    keys.push_back({"hidden", arm.hidden});
    keys.push_back({"auxiliary", arm.auxiliary});
  }
  for (const SearchedKey& key : arm.keys) keys.push_back({key.key, key.values});
  return keys;
}

Trial trial_of(const ArmPlan& arm, const std::vector<Key>& keys,
               const std::vector<double>& values) {
  Trial trial;
  trial.hidden = values.front();
  trial.auxiliary =
      arm.is_joint() ? arm.auxiliary_ratio * values.front() : values.at(1);
  for (std::size_t i = arm.is_joint() ? 1 : 2; i < keys.size(); ++i) {
    trial.settings.emplace_back(keys[i].name, values.at(i));
  }
  return trial;
}

double best_value(const Sweep& sweep) {
  return std::min_element(sweep.begin(), sweep.end(),
                          [](const auto& a, const auto& b) {
                            return a.second.loss < b.second.loss;
                          })
      ->first;
}

bool on_edge(const Sweep& sweep) {
  const double best = best_value(sweep);
  if (best == 0) return false;
  return best == sweep.begin()->first || best == sweep.rbegin()->first;
}

double extra_value(const Sweep& sweep) {
  const auto best = sweep.find(best_value(sweep));
  if (sweep.size() == 1) return best->first > 0 ? best->first * 2 : 1;
  const auto first = sweep.begin();
  const auto last = std::prev(sweep.end());
  if (on_edge(sweep)) {
    // Beyond it, by the grid's own ratio.
    const auto edge = best == first ? first : last;
    const auto inner = best == first ? std::next(first) : std::prev(last);
    if (inner->first == 0) return 2 * edge->first;
    return edge->first * edge->first / inner->first;
  }
  // Without an edge both neighbours exist, unless the best is a zero.
  const auto lower = best == first ? std::next(best) : std::prev(best);
  const auto upper = best == last ? std::prev(best) : std::next(best);
  const auto better = lower->second.loss < upper->second.loss ? lower : upper;
  return between(best->first, better->first);
}

RateSearch summarize(const Key& key, const Sweep& sweep,
                     const std::vector<double>& added) {
  RateSearch search;
  search.rate = key.name;
  search.grid = key.grid;
  std::sort(search.grid.begin(), search.grid.end());
  search.added = added;
  search.best = best_value(sweep);
  search.edge = on_edge(sweep);
  std::vector<double> values;
  std::vector<double> losses;
  for (const auto& [value, outcome] : sweep) {
    if (outcome.diverged || value <= 0) continue;
    values.push_back(value);
    losses.push_back(outcome.loss);
  }
  if (const auto fit = statistics::fit_parabola(values, losses)) {
    search.fitted_optimum = fit->optimum;
    search.fitted_loss = fit->loss;
    search.curvature = fit->curvature;
    search.fit_rates = fit->rates;
  }
  return search;
}

}  // namespace muonlab::study::detail
