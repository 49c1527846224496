// How the study layer writes its numbers for people; machines read results.csv
// and results.json.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "muonlab/statistics/sample.h"
#include "muonlab/study/comparison.h"
#include "muonlab/study/plan.h"

namespace muonlab::study::detail {

/// What a table shows where a value does not exist.
inline constexpr const char* kNone = "–";

/// `digits` significant digits: "0.00141", "2.1e-05".
[[nodiscard]] std::string significant(double value, int digits);
[[nodiscard]] std::string rate_text(double rate);  ///< three digits
[[nodiscard]] std::string loss_text(double loss);  ///< four decimals
[[nodiscard]] std::string loss_text(const std::optional<double>& loss);
/// printf's %.*f with "−" (U+2212) for a minus.
[[nodiscard]] std::string fixed_text(double value, int digits);
/// Four decimals with a sign; "−" is U+2212.
[[nodiscard]] std::string signed_text(double value);
/// "−0.0401 to −0.0223".
[[nodiscard]] std::string interval_text(const statistics::Interval& interval);
[[nodiscard]] std::string p_text(const std::optional<double>& p);
/// "p = 0.0012".
[[nodiscard]] std::string p_equation(double p);
[[nodiscard]] std::string percent_text(double share);  ///< 0.123 -> "12.3 %"
/// "1", "1 and 2", "1, 2 and 3"; runs of three or more seeds as "1–5".
[[nodiscard]] std::string seeds_text(std::span<const std::uint64_t> seeds);
[[nodiscard]] std::string list_text(std::span<const std::string> parts);
/// "1 seed", "5 seeds".
[[nodiscard]] std::string count_text(std::int64_t count,
                                     const std::string& noun);
/// "rate 0.01" of a joint arm, else "rates 0.01 / 0.008"; then further
/// settings.
[[nodiscard]] std::string trial_text(const ArmPlan& arm, const Trial& trial);
/// "search muon rates 0.01 / 0.008 seed 0: loss 3.1415" of a cell that ended.
[[nodiscard]] std::string outcome_text(const ArmPlan& arm, const Cell& cell);
/// Cells that are done or diverged.
[[nodiscard]] std::int64_t ended_cells(const Results& results);
/// Runs of the whole plan, those that are not listed yet included.
[[nodiscard]] std::int64_t planned_cells(const Results& results);
/// Tokens that one run trains on.
[[nodiscard]] std::int64_t tokens_per_run(const Setup& setup);

}  // namespace muonlab::study::detail
