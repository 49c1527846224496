// One panel of a figure of the published study.
#pragma once

#include <optional>
#include <string>

#include "muonlab/study/figures_internal.h"

namespace muonlab::study::detail {

inline constexpr const char* kTheirs = "As the study computed it. ";

/// A number of every run, one panel each.
struct Metric {
  const char* name;
  const char* title;
  const char* axis;
  bool logarithmic;
};

struct PanelAxis {
  std::string field;
  std::string title;
  bool logarithmic = false;
  std::string format = {};
  std::optional<double> low = {};
  std::optional<double> high = {};
};

/// What is drawn; bands and bars reach from "low" to "high" of a row.
struct PanelMarks {
  bool lines = true;
  bool points = false;
  bool band = false;
  bool bars = false;
};

/// Rows have "arm" and the fields of the axes.
[[nodiscard]] Json panel_spec(const Results& results, const Json& rows,
                              const PanelAxis& x, PanelAxis y,
                              const PanelMarks& marks);

}  // namespace muonlab::study::detail
