// Time per step of each arm, from its timing runs.
#pragma once

#include <string>
#include <vector>

#include "muonlab/study/results.h"

namespace muonlab::study::detail {

struct ArmStepTime {
  std::string arm;
  int runs = 0;
  StepTime time;  ///< seconds; part by part the median over the arm's runs
};

/// Arms without a finished timing run are left out.
[[nodiscard]] std::vector<ArmStepTime> step_times(const Results& results);
[[nodiscard]] double total(const StepTime& time);

}  // namespace muonlab::study::detail
