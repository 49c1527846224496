// Figures and tables of the published study, drawn from our runs: parts of a
// report whose setup asks for them, empty elsewhere.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "muonlab/study/overview_internal.h"
#include "muonlab/study/published.h"

namespace muonlab::study::detail {

inline constexpr const char* kFirstStudy = "published-1";
inline constexpr const char* kSecondStudy = "published-2";

/// exp(min(loss, 20)), as the study computed it.
[[nodiscard]] double capped_perplexity(double loss);
/// Of the batch at index 550 of 600, or the same share of another number of
/// steps: the loss of step steps * 550 / 600 + 1. The nearest logged step where
/// that one was not logged; unset without a training curve.
[[nodiscard]] std::optional<double> late_train_loss(const Cell& cell,
                                                    std::int64_t steps);
/// The runs of one arm that Experiment 1 would have shown, ascending by rate.
[[nodiscard]] std::vector<const Cell*> rate_runs(const Results& results,
                                                 const std::string& arm);
/// Its best run: the highest held-out accuracy. Null without accuracies.
[[nodiscard]] const Cell* most_accurate(const std::vector<const Cell*>& runs);
/// The published run that belongs to ours: the same rate, or the same place in
/// a grid that is the published one times a constant. Null without one.
[[nodiscard]] const PublishedRate* counterpart(
    const Cell& cell, const Arm& arm, const std::vector<const Cell*>& runs);

[[nodiscard]] std::vector<Figure> published_rate_figures(
    const Results& results);
[[nodiscard]] Section published_rates_section(const Results& results);

/// One metric of the final runs of an arm that ended, one value for each seed.
[[nodiscard]] std::vector<double> final_values(const Results& results,
                                               const std::string& arm,
                                               const std::string& metric);
/// Percent by which the second is better, by the study's rule: for accuracy
/// (second - first) / first, else (first - second) / first.
[[nodiscard]] double improvement_percent(const std::string& metric,
                                         double first, double second);
/// Two-sided p of Student's pooled t test, also for two runs each, where the
/// statistics layer refuses one; unset for fewer or without spread.
[[nodiscard]] std::optional<double> pooled_p(const std::vector<double>& first,
                                             const std::vector<double>& second);

[[nodiscard]] std::vector<Figure> published_size_figures(
    const Overview& overview);
[[nodiscard]] Section published_sizes_section(const Overview& overview);

}  // namespace muonlab::study::detail
