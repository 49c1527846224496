// How much a wrong learning rate costs each arm, as a table.
#include <cmath>

#include "muonlab/core/text.h"
#include "muonlab/statistics/sensitivity.h"
#include "muonlab/study/document_internal.h"
#include "muonlab/study/search_keys_internal.h"
#include "muonlab/study/wording_internal.h"

namespace muonlab::study::detail {

namespace {

constexpr double kTolerance = 0.02;  // nats above the best: protocol C.2

std::string sided(double octaves, bool open) {
  return (open ? "≥ " : "") + core::fixed(octaves, 2);
}

}  // namespace

std::optional<RateShape> rate_shape(const Results& results, const Arm& arm,
                                    const std::string& key) {
  const std::vector<TrialLine> lines = trial_lines(results, arm, key);
  const TrialLine* line = main_line(lines);
  if (line == nullptr) return std::nullopt;
  std::vector<double> rates;
  std::vector<double> losses;
  bool any = false;
  for (const Cell* cell : line->cells) {
    const double rate = key_value(*cell, key);
    if (!(rate > 0) || (!rates.empty() && rates.back() == rate)) continue;
    const bool done = cell->state == "done";
    rates.push_back(rate);
    losses.push_back(done ? *cell->loss : HUGE_VAL);
    any = any || done;
  }
  if (rates.size() < 2 || !any) return std::nullopt;
  const double initial = line->cells.front()->initial_loss;
  return RateShape{rates.size(),
                   statistics::rate_sensitivity(rates, losses, initial),
                   statistics::rate_basin(rates, losses, initial, kTolerance)};
}

void add_sensitivity(const Results& results, Section& section) {
  Table table;
  table.heading = {"arm",     "rate",     "trials",         "best",
                   "S, nats", "of range", "basin, octaves", "basin from",
                   "to"};
  table.text_columns = 2;
  for (const Arm& arm : results.arms) {
    for (const RateSearch& search : arm.searches) {
      if (!is_rate(search.rate)) continue;
      const auto shape = rate_shape(results, arm, search.rate);
      if (!shape) continue;
      const statistics::Basin& basin = shape->basin;
      table.rows.push_back(
          {arm.name, search.rate, std::to_string(shape->trials),
           rate_text(shape->sensitivity.best_rate),
           loss_text(shape->sensitivity.value),
           percent_text(shape->sensitivity.covered),
           sided(basin.octaves, basin.open_low || basin.open_high),
           (basin.open_low ? "≤ " : "") + rate_text(basin.low),
           (basin.open_high ? "≥ " : "") + rate_text(basin.high)});
      table.colors.push_back(arm_color(arm.name, results.arms));
    }
  }
  if (table.rows.empty()) return;
  section.blocks.emplace_back(Subheading{"What a wrong rate costs"});
  section.blocks.emplace_back(std::move(table));
  section.blocks.emplace_back(Paragraph{
      "Along one rate, the others held (single runs, n = 1). S: mean loss "
      "above the best for a rate drawn log-uniformly between an eighth and "
      "eight times the best one, capped at the loss at initialisation "
      "(Wortsman et al. 2023); \"of range\" says how much of that range was "
      "tried, and S covers only that. Basin: the rates within " +
      core::shortest(kTolerance) +
      " nats of the best, interpolated; ≥ and ≤ where the edge of what was "
      "tried lies inside it. Equal grids give the fairest comparison of "
      "arms."});
}

}  // namespace muonlab::study::detail
