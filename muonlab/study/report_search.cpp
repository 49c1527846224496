// The section of the report on the search: what was tried, and every trial.
#include <algorithm>
#include <map>
#include <tuple>

#include "muonlab/core/text.h"
#include "muonlab/study/document_internal.h"
#include "muonlab/study/search_keys_internal.h"
#include "muonlab/study/wording_internal.h"

namespace muonlab::study::detail {

namespace {

using Row = std::vector<std::string>;

std::string remark_of(const Cell& cell, const Arm& arm) {
  std::vector<std::string> remarks;
  if (is_chosen(cell, arm)) remarks.emplace_back("chosen");
  if (cell.extension) remarks.emplace_back("extension");
  if (cell.audit) remarks.emplace_back("audit of the halving");
  if (cell.length < 1) {
    remarks.push_back("short: " + percent_text(cell.length) + " of the steps");
  }
  return core::join(remarks, ", ");
}

// The trials of one arm, ordered by length, then by the values. A trial is
// measured against the best of its own length.
Table trial_table(const Results& results, const Arm& arm) {
  std::vector<const Cell*> cells;
  std::map<double, double> best;  // by length
  bool settings = false;
  for (const Cell& cell : results.cells) {
    if (cell.phase != "search" || cell.arm != arm.name) continue;
    cells.push_back(&cell);
    settings = settings || !cell.settings.empty();
    if (cell.state != "done" || !cell.loss || cell.audit) continue;
    const auto place = best.try_emplace(cell.length, *cell.loss).first;
    place->second = std::min(place->second, *cell.loss);
  }
  std::stable_sort(
      cells.begin(), cells.end(), [](const Cell* a, const Cell* b) {
        if (a->length != b->length) return a->length > b->length;
        return std::tie(a->hidden_lr, a->auxiliary_lr, a->settings) <
               std::tie(b->hidden_lr, b->auxiliary_lr, b->settings);
      });
  Table trials;
  trials.heading = {"state", "remark", "hidden rate",   "auxiliary rate",
                    "seed",  "loss",   "above the best"};
  if (settings) trials.heading.insert(trials.heading.begin() + 4, "settings");
  trials.text_columns = 2;
  for (const Cell* cell : cells) {
    const std::optional<double> loss = counted_loss(*cell);
    const auto lowest = best.find(cell->length);
    Row row = {cell->state, remark_of(*cell, arm), rate_text(cell->hidden_lr),
               rate_text(cell->auxiliary_lr)};
    if (settings) row.push_back(settings_text(cell->settings));
    row.insert(row.end(), {std::to_string(cell->seed), loss_text(loss),
                           loss && lowest != best.end()
                               ? signed_text(*loss - lowest->second)
                               : kNone});
    trials.rows.push_back(std::move(row));
  }
  return trials;
}

std::string rates_text(const std::vector<double>& rates) {
  std::vector<std::string> parts;
  for (const double rate : rates) parts.push_back(rate_text(rate));
  return parts.empty() ? kNone : core::join(parts, ", ");
}

Table rate_table(const Results& results) {
  Table rates;
  rates.heading = {"arm",         "searched",  "planned",
                   "added",       "best",      "fitted optimum",
                   "fitted loss", "curvature", "edge"};
  rates.text_columns = 4;
  for (const Arm& arm : results.arms) {
    for (const RateSearch& search : arm.searches) {
      rates.rows.push_back(
          {arm.name, search.rate, rates_text(search.grid),
           rates_text(search.added), rate_text(search.best),
           search.fitted_optimum ? rate_text(*search.fitted_optimum) : kNone,
           loss_text(search.fitted_loss), loss_text(search.curvature),
           search.grid.size() + search.added.size() < 2 ? "one value"
           : search.edge                                ? "edge"
                                                        : "inside"});
      rates.colors.push_back(arm_color(arm.name, results.arms));
    }
  }
  return rates;
}

}  // namespace

Section search_section(const Results& results) {
  Section section{"Search", {}};
  section.blocks.emplace_back(rate_table(results));
  section.blocks.emplace_back(Paragraph{
      "Edge: the best value is still at the edge of what was tried. Fitted: "
      "parabola in log2 of the value through the best three to five trials; "
      "curvature in nats per octave squared; – where it does not open "
      "upwards or has its optimum outside those trials."});
  add_sensitivity(results, section);
  for (const Arm& arm : results.arms) {
    Table trials = trial_table(results, arm);
    if (trials.rows.empty()) continue;
    section.blocks.emplace_back(Subheading{"Trials of " + arm.name});
    if (!arm.description.empty()) {
      section.blocks.emplace_back(Paragraph{arm.description});
    }
    section.blocks.emplace_back(std::move(trials));
  }
  section.blocks.emplace_back(Paragraph{
      "Loss: held-out loss in nats per token on the selection half; a "
      "diverged trial has the loss at initialisation. Above the best: of the "
      "trials of the same length, audits left out."});
  return section;
}

}  // namespace muonlab::study::detail
