// The search of one arm's rates by coordinates: pure decisions, no runs.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "muonlab/study/plan.h"
#include "muonlab/study/results.h"

namespace muonlab::study {

/// First the hidden rate at the first auxiliary rate, then the auxiliary rate
/// at the best hidden one; or the joint rate alone. Every arm gets the plan's
/// trials and exactly `extensions` more, so that all arms with equal grids have
/// equal trials: an extra trial goes beyond an edge on which the best rate lies
/// (by the grid's own ratio), as soon as that is known; extras that no edge
/// needs halve the gap between the best rate and its better neighbour, on the
/// coordinate searched last.
class ArmSearch {
 public:
  ArmSearch(const ArmPlan& arm, std::int64_t extensions);

  /// Trials that can run now and were not handed out before; empty while
  /// results are awaited and when the search is over.
  [[nodiscard]] std::vector<Rates> next();
  /// The loss of a trial that was handed out; a diverged one counts with the
  /// loss at initialisation.
  void record(Rates rates, double loss, bool diverged);

  [[nodiscard]] bool finished() const { return finished_; }
  /// The rates with the smallest loss so far.
  [[nodiscard]] Rates best() const;
  [[nodiscard]] bool is_extension(Rates rates) const {
    return extras_.count(rates) != 0;
  }
  /// Trials handed out.
  [[nodiscard]] int trials() const { return static_cast<int>(asked_.size()); }
  /// For the report: one entry per coordinate with results.
  [[nodiscard]] std::vector<RateSearch> summary() const;

 private:
  enum class Coordinate { kHidden, kAuxiliary, kJoint };
  struct Outcome {
    double loss = 0;
    bool diverged = false;
  };

  [[nodiscard]] Rates at(Coordinate coordinate, double rate) const;
  [[nodiscard]] std::map<double, Outcome> sweep(Coordinate coordinate) const;
  [[nodiscard]] static double best_rate(const std::map<double, Outcome>& sweep);
  [[nodiscard]] static bool on_edge(const std::map<double, Outcome>& sweep);
  [[nodiscard]] double extra_rate(Coordinate coordinate, bool edge) const;
  void ask(Coordinate coordinate, const std::vector<double>& rates);
  void advance();

  ArmPlan arm_;
  std::int64_t extras_left_;
  Coordinate coordinate_;
  bool finished_ = false;
  double held_hidden_ = 0;  // best hidden rate, once its sweep is over
  std::set<Rates> asked_;
  std::set<Rates> extras_;
  std::vector<Rates> ready_;
  std::map<Rates, Outcome> outcomes_;
};

}  // namespace muonlab::study
