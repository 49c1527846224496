#include <algorithm>

#include "muonlab/study/step_times_internal.h"

namespace muonlab::study::detail {

namespace {

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half]
                                : (values[half - 1] + values[half]) / 2;
}

}  // namespace

double total(const StepTime& time) {
  return time.forward + time.backward + time.optimizer + time.other;
}

std::vector<ArmStepTime> step_times(const Results& results) {
  std::vector<ArmStepTime> all;
  for (const Arm& arm : results.arms) {
    std::vector<StepTime> runs;
    for (const Cell& cell : results.cells) {
      if (cell.arm == arm.name && cell.phase == "timing" &&
          cell.state == "done" && cell.step_time) {
        runs.push_back(*cell.step_time);
      }
    }
    if (runs.empty()) continue;
    ArmStepTime entry;
    entry.arm = arm.name;
    entry.runs = static_cast<int>(runs.size());
    for (const auto part : {&StepTime::forward, &StepTime::backward,
                            &StepTime::optimizer, &StepTime::other}) {
      std::vector<double> values;
      for (const StepTime& run : runs) values.push_back(run.*part);
      entry.time.*part = median(std::move(values));
    }
    all.push_back(std::move(entry));
  }
  return all;
}

}  // namespace muonlab::study::detail
