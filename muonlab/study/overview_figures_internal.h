// Parts of an overview's figures in files of their own.
#pragma once

#include <optional>
#include <vector>

#include "muonlab/study/overview_internal.h"

namespace muonlab::study::detail {

/// Bias-corrected where there is one, else of the percentiles.
[[nodiscard]] std::optional<statistics::Interval> interval_of(
    const CaseSpeedup& one);

/// Loss and difference against parameters.
void size_figures(const Overview& overview, std::vector<Figure>& figures);

}  // namespace muonlab::study::detail
