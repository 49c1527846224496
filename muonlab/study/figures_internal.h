// What the figures share: colours, theme, caption phrases. Each builder returns
// no figures when the results hold nothing to draw.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "muonlab/study/figures.h"

namespace muonlab::study::detail {

using Json = nlohmann::ordered_json;

[[nodiscard]] std::vector<Figure> difference_figures(
    const Results& results, const ComparisonTable& table);
[[nodiscard]] std::vector<Figure> curve_figures(const Results& results);
[[nodiscard]] std::vector<Figure> search_figures(const Results& results);
[[nodiscard]] std::vector<Figure> heat_figures(const Results& results);
[[nodiscard]] std::vector<Figure> step_time_figures(const Results& results);

/// Schema, theme, container width and the given height in pixels.
[[nodiscard]] Json spec_frame(int height);
/// The colour channel of field "arm": same colours in every figure.
[[nodiscard]] Json arm_color_channel(const Results& results);
/// Dashes for arms whose hidden matrices follow a scalar rule, solid for matrix
/// rules, so that the curves differ without colour too.
[[nodiscard]] Json arm_dash_channel(const Results& results);
/// The rows that have "low": a layer without rows makes the drawing warn.
[[nodiscard]] Json rows_with_bounds(const Json& rows);
/// Text that is replaced, not refused, where it is not UTF-8.
[[nodiscard]] std::string dump(const Json& json);
/// Five significant digits: enough to draw, and short.
[[nodiscard]] double drawn(double value);
/// "491,520 tokens per run; width 128, ...".
[[nodiscard]] std::string setting_phrase(const Results& results);

}  // namespace muonlab::study::detail
