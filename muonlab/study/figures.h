// Figures as Vega-Lite specifications (version 6) that carry their data.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "muonlab/study/comparison.h"
#include "muonlab/study/results.h"

namespace muonlab::study {

struct Figure {
  std::string name;  ///< a file name without extension: "training-loss"
  std::string title;
  std::string caption;  ///< what is drawn, n, seeds, tokens, model, tuning
  std::string spec;     ///< Vega-Lite JSON; its width is "container"
  /// Drawn side by side under one caption; then `spec` is empty. A panel's
  /// caption is not shown.
  std::vector<Figure> panels = {};
  std::size_t columns = 1;  ///< of panels, where the page is wide enough
};

/// The figures that the results can fill, in the report's order: paired
/// differences, held-out loss against tokens, time and FLOPs, training loss
/// against tokens, loss against each searched key, heat maps of two keys where
/// an arm tried all combinations, time per step.
[[nodiscard]] std::vector<Figure> figures(const Results& results,
                                          const ComparisonTable& table);

/// The colour of an arm, "#rrggbb", the same in every figure and table: fixed
/// for the usual arms, else from a colour-blind-safe palette by the arm's place
/// among `arms`.
[[nodiscard]] std::string arm_color(const std::string& name,
                                    const std::vector<Arm>& arms);

}  // namespace muonlab::study
