// The times of a run's steps. The first ones allocate and wake threads, so they
// are left out of what is reported, unless the run is short.
#pragma once

#include <cstdint>
#include <vector>

#include "muonlab/train/summary.h"
#include "muonlab/train/training_loop.h"

namespace muonlab::train {

class StepTimes {
 public:
  /// `planned`: steps of the whole run.
  explicit StepTimes(std::int64_t planned);

  void add(const StepOutcome& outcome) { outcomes_.push_back(outcome); }
  /// Whether step `step`, from 0, is one that counts.
  [[nodiscard]] bool counts(std::int64_t step) const { return step >= first_; }

  struct Totals {
    std::int64_t steps = 0;
    double seconds = 0;
    double optimizer_seconds = 0;
  };
  /// Of the steps that count.
  [[nodiscard]] Totals totals() const;
  /// Medians; of all steps when the run ended before any that counts.
  [[nodiscard]] StepSeconds medians() const;

 private:
  std::int64_t first_;
  std::vector<StepOutcome> outcomes_;
};

}  // namespace muonlab::train
