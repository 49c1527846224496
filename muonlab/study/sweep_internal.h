// What the searches share: an arm's keys, and the line of trials along one.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "muonlab/study/plan.h"
#include "muonlab/study/results.h"

namespace muonlab::study::detail {

struct Outcome {
  double loss = 0;
  bool diverged = false;
};

/// One searched key: "hidden", "auxiliary", "joint" or a dotted one.
struct Key {
  std::string name;
  std::vector<double> grid;  ///< as planned
};

/// The keys of an arm, in the order of their search.
[[nodiscard]] std::vector<Key> keys_of(const ArmPlan& arm);
/// A trial with each key's value; `values` in the order of the keys.
[[nodiscard]] Trial trial_of(const ArmPlan& arm, const std::vector<Key>& keys,
                             const std::vector<double>& values);

/// Outcomes by the value of one key, the others being equal.
using Sweep = std::map<double, Outcome>;

[[nodiscard]] double best_value(const Sweep& sweep);
/// Whether a best value on the edge leaves room beyond it: a value of zero is
/// the end of its scale.
[[nodiscard]] bool on_edge(const Sweep& sweep);
/// Half way: geometrically, as rates are; a zero has no ratio to anything.
[[nodiscard]] double between(double a, double b);
/// Where an extra trial goes: beyond the edge by the ratio of the last two, or
/// between the best value and its better neighbour (geometrically; by half
/// where a zero is involved).
[[nodiscard]] double extra_value(const Sweep& sweep);
/// With a parabola in log2 of the values above zero.
[[nodiscard]] RateSearch summarize(const Key& key, const Sweep& sweep,
                                   const std::vector<double>& added);

}  // namespace muonlab::study::detail
