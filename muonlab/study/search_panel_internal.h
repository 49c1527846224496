// A panel of losses against one searched key: what is drawn, before how.
#pragma once

#include <limits>
#include <set>
#include <string>
#include <vector>

#include "muonlab/study/figures_internal.h"

namespace muonlab::study::detail {

/// Kinds of points.
inline constexpr const char* kPlanned = "planned trial";
inline constexpr const char* kExtension = "extension trial";
inline constexpr const char* kAudit = "audit of the halving";
inline constexpr const char* kAbove = "diverged or above the panel";
inline constexpr const char* kOptimum = "fitted optimum";

/// Rows of each layer, and the frame of their losses.
struct SearchPanel {
  Json points = Json::array();
  Json chosen = Json::array();
  Json lines = Json::array();
  Json fits = Json::array();
  Json rungs = Json::array();  // short runs, whose losses are higher
  std::set<double> rates;
  std::vector<std::string> arms;
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();
};

/// Without points when no arm searched the key.
[[nodiscard]] SearchPanel search_panel(const Results& results,
                                       const std::string& key);

}  // namespace muonlab::study::detail
