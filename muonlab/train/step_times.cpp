#include "muonlab/train/step_times.h"

#include <algorithm>
#include <cstddef>

namespace muonlab::train {

namespace {

constexpr std::int64_t kWarmSteps = 5;

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  const auto middle =
      values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace

StepTimes::StepTimes(std::int64_t planned)
    : first_(planned > 2 * kWarmSteps ? kWarmSteps : 0) {}

StepTimes::Totals StepTimes::totals() const {
  Totals totals;
  for (auto i = static_cast<std::size_t>(first_); i < outcomes_.size(); ++i) {
    ++totals.steps;
    totals.seconds += outcomes_[i].total_seconds;
    totals.optimizer_seconds += outcomes_[i].optimizer_seconds;
  }
  return totals;
}

StepSeconds StepTimes::medians() const {
  const auto counted = static_cast<std::size_t>(first_);
  const std::size_t first = outcomes_.size() > counted ? counted : 0;
  const auto of = [&](auto part) {
    std::vector<double> values;
    for (std::size_t i = first; i < outcomes_.size(); ++i) {
      values.push_back(part(outcomes_[i]));
    }
    return median(std::move(values));
  };
  return {of([](const StepOutcome& o) { return o.forward_seconds; }),
          of([](const StepOutcome& o) { return o.backward_seconds; }),
          of([](const StepOutcome& o) { return o.optimizer_seconds; }),
          of([](const StepOutcome& o) {
            return o.total_seconds - o.forward_seconds - o.backward_seconds -
                   o.optimizer_seconds;
          })};
}

}  // namespace muonlab::train
