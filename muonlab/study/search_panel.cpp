#include "muonlab/study/search_panel_internal.h"

#include <algorithm>
#include <cmath>

#include "muonlab/core/text.h"
#include "muonlab/study/search_keys_internal.h"
#include "muonlab/study/wording_internal.h"

namespace muonlab::study::detail {

namespace {

// The panel reaches this many nats above its best loss, unless all its losses
// lie lower: where training fails, how badly it fails is of no interest.
constexpr double kShownExcess = 1.0;
// Where trials that left the panel are marked, as a share of its height.
constexpr double kAbovePlace = 0.05;
// Samples of a drawn parabola.
constexpr int kParabolaSamples = 33;
// More lines than this of one arm hide each other: only the main one is drawn.
constexpr std::size_t kMostLines = 4;

bool has_diverged(const Cell& cell) {
  return cell.state == "diverged" || !std::isfinite(*counted_loss(cell));
}

// Lines of full-length trials; of many, the main one.
std::vector<TrialLine> drawn_lines(const Results& results, const Arm& arm,
                                   const std::string& key) {
  std::vector<TrialLine> lines = trial_lines(results, arm, key);
  if (is_rate(key)) {  // a log axis has no place for a rate of zero
    for (TrialLine& line : lines) {
      std::erase_if(line.cells, [&](const Cell* cell) {
        return !(key_value(*cell, key) > 0);
      });
    }
  }
  if (lines.size() <= kMostLines) return lines;
  return {*main_line(lines)};
}

void frame(SearchPanel& panel, const TrialLine& line, const std::string& key) {
  for (const Cell* cell : line.cells) {
    panel.rates.insert(key_value(*cell, key));
    if (has_diverged(*cell)) continue;
    panel.low = std::min(panel.low, *counted_loss(*cell));
    panel.high = std::max(panel.high, *counted_loss(*cell));
  }
}

void add_line(SearchPanel& panel, const Arm& arm, const TrialLine& line,
              const std::string& key, const std::string& group) {
  for (const Cell* cell : line.cells) {
    const double loss = *counted_loss(*cell);
    const bool above = has_diverged(*cell) || loss > panel.high;
    const double shown = drawn(
        above ? panel.high + kAbovePlace * (panel.high - panel.low) : loss);
    const char* kind = above             ? kAbove
                       : cell->audit     ? kAudit
                       : cell->extension ? kExtension
                                         : kPlanned;
    const Json row = {{"arm", arm.name}, {"rate", key_value(*cell, key)},
                      {"loss", loss},    {"shown", shown},
                      {"kind", kind},    {"held", settings_phrase(*cell, key)},
                      {"group", group}};
    panel.points.push_back(row);
    panel.lines.push_back({{"arm", arm.name},
                           {"rate", key_value(*cell, key)},
                           {"shown", shown},
                           {"group", group}});
    if (is_chosen(*cell, arm)) panel.chosen.push_back(row);
  }
}

// Short runs with the same other values as the main line.
std::vector<TrialLine> rungs_beside(const Results& results, const Arm& arm,
                                    const std::string& key,
                                    const std::vector<TrialLine>& lines) {
  std::vector<TrialLine> rungs;
  const TrialLine* main = main_line(lines);
  if (main == nullptr) return rungs;
  for (const double length : rung_lengths(results)) {
    for (TrialLine& rung : trial_lines(results, arm, key, length)) {
      if (rung.held == main->held) rungs.push_back(std::move(rung));
    }
  }
  return rungs;
}

void add_rung(SearchPanel& panel, const Arm& arm, const TrialLine& rung,
              const std::string& key) {
  for (const Cell* cell : rung.cells) {
    const double loss = *counted_loss(*cell);
    if (has_diverged(*cell) || loss > panel.high) continue;
    panel.rungs.push_back({{"arm", arm.name},
                           {"rate", key_value(*cell, key)},
                           {"shown", drawn(loss)},
                           {"group", core::shortest(cell->length)}});
  }
}

void add_fit(SearchPanel& panel, const Arm& arm, const RateSearch& search) {
  if (!search.fitted_optimum || !search.fitted_loss || !search.curvature ||
      search.fit_rates.empty()) {
    return;
  }
  const auto [low, high] =
      std::minmax_element(search.fit_rates.begin(), search.fit_rates.end());
  const double octaves = std::log2(*high / *low);
  for (int i = 0; i < kParabolaSamples; ++i) {
    const double rate = *low * std::exp2(octaves * i / (kParabolaSamples - 1));
    const double x = std::log2(rate / *search.fitted_optimum);
    panel.fits.push_back(
        {{"arm", arm.name},
         {"rate", rate},
         {"shown", drawn(*search.fitted_loss + *search.curvature * x * x)}});
  }
  panel.low = std::min(panel.low, *search.fitted_loss);
  panel.points.push_back({{"arm", arm.name},
                          {"rate", *search.fitted_optimum},
                          {"loss", *search.fitted_loss},
                          {"shown", drawn(*search.fitted_loss)},
                          {"kind", kOptimum},
                          {"held", ""},
                          {"group", "fit"}});
}

}  // namespace

SearchPanel search_panel(const Results& results, const std::string& key) {
  SearchPanel panel;
  struct Part {
    const Arm* arm = nullptr;
    const RateSearch* search = nullptr;
    std::vector<TrialLine> lines;
    std::vector<TrialLine> rungs;
  };
  std::vector<Part> parts;
  for (const Arm& arm : results.arms) {
    for (const RateSearch& search : arm.searches) {
      if (search.rate != key) continue;
      Part& part = parts.emplace_back();
      part.arm = &arm;
      part.search = &search;
      part.lines = drawn_lines(results, arm, key);
      part.rungs = rungs_beside(results, arm, key, part.lines);
      for (const auto& line : part.lines) frame(panel, line, key);
      for (const auto& rung : part.rungs) frame(panel, rung, key);
    }
  }
  if (panel.rates.empty()) return panel;
  if (panel.low > panel.high) {  // every trial diverged
    panel.low = 0;
    panel.high = 1;
  }
  panel.high = std::min(panel.high, panel.low + kShownExcess);
  for (const Part& part : parts) {
    panel.arms.push_back(part.arm->name);
    for (std::size_t i = 0; i < part.lines.size(); ++i) {
      add_line(panel, *part.arm, part.lines[i], key, std::to_string(i));
    }
    for (const auto& rung : part.rungs) add_rung(panel, *part.arm, rung, key);
    add_fit(panel, *part.arm, *part.search);
  }
  return panel;
}

}  // namespace muonlab::study::detail
