// What the sections and figures of an overview share.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "muonlab/statistics/scaling.h"
#include "muonlab/statistics/speedup.h"
#include "muonlab/study/comparison.h"
#include "muonlab/study/document_internal.h"
#include "muonlab/study/figures_internal.h"

namespace muonlab::study::detail {

/// A case with its statistics.
struct CaseView {
  const Results* results = nullptr;
  ComparisonTable table;

  [[nodiscard]] const Setup& setup() const { return results->setup; }
  /// Null for an arm that the case lacks.
  [[nodiscard]] const ArmSummary* summary(const std::string& arm) const;
  [[nodiscard]] const Comparison* comparison(const std::string& arm) const;
};

struct Overview {
  const StudyResults* study = nullptr;
  std::vector<CaseView> cases;
  /// Of each arm; unset below four sizes, and where the loss does not fall with
  /// size.
  std::map<std::string, std::optional<statistics::ScalingFit>> scaling;

  [[nodiscard]] const Results& first() const { return *cases.front().results; }
  /// The sizes differ: some figures are against parameters.
  [[nodiscard]] bool has_sizes() const;
  [[nodiscard]] bool has_final_runs() const;
};

[[nodiscard]] Overview view_of(const StudyResults& results);

/// Data speed-up of one arm in one case; `problem` says why there is none.
struct CaseSpeedup {
  std::size_t place = 0;  ///< of the case
  std::string arm;
  std::size_t horizons = 0;  ///< of the baseline, the full length included
  std::size_t seeds = 0;
  std::optional<statistics::DataSpeedup> value;
  std::string problem;
};
/// Of the cases whose baseline ran at other lengths.
[[nodiscard]] std::vector<CaseSpeedup> case_speedups(const Overview& overview);

/// The losses of one arm by size, in the order of the cases; cases without a
/// final run are left out.
[[nodiscard]] std::vector<statistics::SizeRuns> size_runs(
    const Overview& overview, const std::string& arm);
/// The arm's exponent minus the baseline's. Unset where one of them has no law
/// that its sizes determine, and without three common seeds in every size.
[[nodiscard]] std::optional<statistics::Bootstrap> exponent_difference(
    const Overview& overview, const std::string& arm);
/// Of the mean difference to the baseline; unset below three sizes.
[[nodiscard]] std::optional<statistics::LogTrend> difference_trend(
    const Overview& overview, const std::string& arm);

/// Steps until the mean held-out loss over seeds is at the baseline's last.
struct Target {
  double loss = 0;
  double baseline_steps = 0;  ///< of the baseline itself
  std::optional<double> steps;
};
/// Unset without two evaluations at the same steps in all seeds.
[[nodiscard]] std::optional<Target> target_steps(const CaseView& view,
                                                 const std::string& arm);

/// "n = 5 (seeds 1–5); 491,520 tokens per run; rates tuned per arm and case".
[[nodiscard]] std::string overview_phrase(const Overview& overview);

[[nodiscard]] std::vector<Figure> overview_figures(
    const Overview& overview, const std::vector<CaseSpeedup>& speedups);
[[nodiscard]] Verdict overview_verdict(const Overview& overview);
[[nodiscard]] Section overview_audit(const Overview& overview);
[[nodiscard]] Section verdicts_section(const Overview& overview);
[[nodiscard]] Section ladder_section(const Overview& overview);
[[nodiscard]] Section scaling_section(const Overview& overview);
[[nodiscard]] Section speedup_section(const Overview& overview,
                                      const std::vector<CaseSpeedup>& speedups);
[[nodiscard]] Section cases_cost_section(const Overview& overview);

}  // namespace muonlab::study::detail
