// Parts of an overview's figures in files of their own.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "muonlab/study/overview_internal.h"

namespace muonlab::study::detail {

/// Bias-corrected where there is one, else of the percentiles.
[[nodiscard]] std::optional<statistics::Interval> interval_of(
    const CaseSpeedup& one);

/// What the figures call a case.
[[nodiscard]] std::string label_of(const CaseView& view);
/// A row for each case and arm: dots for seeds, a bar from "low" to "high", a
/// diamond for the mean; `x` is the channel of all three.
[[nodiscard]] Json dot_plot(const Overview& overview, const Json& dots,
                            const Json& means, Json x, bool with_baseline);

/// A row's "arm", "difference" and, where there is an interval, "low" and
/// "high", beside what `row` has. `comparison` must have a difference.
[[nodiscard]] Json difference_row(const Comparison& comparison, Json row);

/// Data speed-ups by case, where their law is determined.
void speedup_figure(const Overview& overview,
                    const std::vector<CaseSpeedup>& speedups,
                    std::vector<Figure>& figures);
/// Loss and difference against parameters.
void size_figures(const Overview& overview, std::vector<Figure>& figures);

}  // namespace muonlab::study::detail
