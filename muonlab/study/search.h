// The search of one arm's settings: pure decisions, no runs.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "muonlab/study/plan.h"
#include "muonlab/study/results.h"

namespace muonlab::study {

/// Hands out trials and takes their losses, in any order, until it is over.
/// Every arm gets as many extra trials (the plan's `extensions`) as every
/// other, so that arms with equal grids have equal trials: an extra one goes
/// beyond an edge on which the best value lies (by the grid's own ratio), as
/// soon as that is known; extras that no edge needs halve the gap between the
/// best value and its better neighbour, on the key searched last.
class Search {
 public:
  virtual ~Search() = default;
  /// Trials that can run now and were not handed out before; empty while
  /// results are awaited and when the search is over.
  [[nodiscard]] virtual std::vector<Trial> next() = 0;
  /// The loss of a trial that was handed out; a diverged one counts with the
  /// loss at initialisation.
  virtual void record(const Trial& trial, double loss, bool diverged) = 0;

  [[nodiscard]] virtual bool finished() const = 0;
  /// The full-length trial with the smallest loss so far, audits left out.
  [[nodiscard]] virtual Trial best() const = 0;
  [[nodiscard]] virtual bool is_extension(const Trial& trial) const = 0;
  /// A trial that a rung discarded, finished to see what was thrown away.
  [[nodiscard]] virtual bool is_audit(const Trial& trial) const = 0;
  /// Trials handed out.
  [[nodiscard]] virtual int trials() const = 0;
  /// For the report: one entry per key with results, along the line through
  /// the best (coordinates: through what was held).
  [[nodiscard]] virtual std::vector<RateSearch> summary() const = 0;
};

/// Coordinates: first the hidden rate at the first value of every other key,
/// then the auxiliary rate at the best hidden one, then the arm's keys in their
/// order; or the joint rate, then the keys.
[[nodiscard]] std::unique_ptr<Search> coordinate_search(const ArmPlan& arm,
                                                        const SearchPlan& how);
/// All combinations, with successive halving where the plan has rungs.
[[nodiscard]] std::unique_ptr<Search> grid_search(const ArmPlan& arm,
                                                  const SearchPlan& how);
/// What the plan asks for; for an arm with nothing to choose, a search that is
/// over before it begins.
[[nodiscard]] std::unique_ptr<Search> make_search(const ArmPlan& arm,
                                                  const SearchPlan& how);
/// Over before it begins, with this result.
[[nodiscard]] std::unique_ptr<Search> given_settings(const Trial& trial);

}  // namespace muonlab::study
