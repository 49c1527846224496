// When a run that still has finite losses is given up.
#pragma once

#include <cstdint>
#include <limits>
#include <string>

namespace muonlab::train {

struct StopRuleOptions {
  double ratio = 0;  ///< 0: never; else above 1
  std::int64_t after = 100;
  std::int64_t patience = 11;  ///< steps in a row
};

/// Watches the training loss. From step `after` on (counted from 0), a step is
/// bad when its loss is above `ratio` times the lowest so far; `patience` bad
/// steps in a row end the run. A step that is not bad begins the count anew
/// (this is the failure rule of the published study's first experiment).
class StopRule {
 public:
  explicit StopRule(const StopRuleOptions& options) : options_(options) {}
  /// Why the run ends after this step; empty: it goes on.
  [[nodiscard]] std::string look(std::int64_t step, double loss);

 private:
  StopRuleOptions options_;
  double lowest_ = std::numeric_limits<double>::infinity();
  std::int64_t bad_ = 0;
};

}  // namespace muonlab::train
