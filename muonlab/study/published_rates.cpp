// Experiment 1 of the published study: what its code would say of our runs.
#include <algorithm>
#include <cmath>

#include "muonlab/core/text.h"
#include "muonlab/study/published_internal.h"
#include "muonlab/study/search_keys_internal.h"
#include "muonlab/study/wording_internal.h"

namespace muonlab::study::detail {

namespace {

constexpr double kLargestExponent = 20;
// Their last logged batch, as a share of the run.
constexpr std::int64_t kLateIndex = 550;
constexpr std::int64_t kTheirSteps = 600;

bool same(double a, double b) { return std::abs(a - b) <= 1e-9 * std::abs(b); }

std::vector<const PublishedRate*> published_of(const std::string& rule) {
  std::vector<const PublishedRate*> rows;
  for (const PublishedRate& row : published_rates()) {
    if (row.rule == rule) rows.push_back(&row);
  }
  return rows;
}

bool is_success(const Cell& cell) { return cell.state == "done"; }

std::string shown(const std::optional<double>& value, int digits) {
  return value && std::isfinite(*value) ? significant(*value, digits) : kNone;
}

Table beside_published(const Results& results) {
  Table table;
  table.heading = {"arm",       "rate",          "state",     "train loss",
                   "published", "held-out loss", "published", "accuracy",
                   "published", "perplexity",    "published"};
  table.text_columns = 3;
  for (const Arm& arm : results.arms) {
    const auto runs = rate_runs(results, arm.name);
    for (const Cell* cell : runs) {
      const PublishedRate* theirs = counterpart(*cell, arm, runs);
      const bool done = is_success(*cell);
      const auto published = [&](double PublishedRate::* member) {
        return theirs == nullptr ? std::string(kNone)
                                 : significant(theirs->*member, 4);
      };
      table.rows.push_back(
          {arm.name, rate_text(cell->hidden_lr), cell->state,
           shown(late_train_loss(*cell, results.setup.steps), 4),
           published(&PublishedRate::train_loss),
           done ? shown(cell->loss, 4) : kNone, published(&PublishedRate::loss),
           shown(cell->accuracy, 4), published(&PublishedRate::accuracy),
           done ? shown(capped_perplexity(*cell->loss), 4) : kNone,
           published(&PublishedRate::perplexity)});
      table.colors.push_back(arm_color(arm.name, results.arms));
    }
  }
  return table;
}

// "muon by 0.0127 (0.9845 at 0.01 against 0.9718 at 0.003)".
std::string most_accurate_text(const Results& results) {
  std::vector<std::pair<double, std::string>> best;
  for (const Arm& arm : results.arms) {
    const Cell* cell = most_accurate(rate_runs(results, arm.name));
    if (cell == nullptr) continue;
    best.emplace_back(*cell->accuracy, arm.name + " " +
                                           core::fixed(*cell->accuracy, 4) +
                                           " at " + rate_text(cell->hidden_lr));
  }
  std::stable_sort(best.begin(), best.end(), [](const auto& a, const auto& b) {
    return a.first > b.first;
  });
  std::vector<std::string> parts;
  for (const auto& one : best) parts.push_back(one.second);
  return parts.empty() ? "no accuracies yet" : core::join(parts, "; ");
}

std::string best_times_text(const Results& results) {
  std::vector<std::string> parts;
  double reference = 0;
  for (const Arm& arm : results.arms) {
    const Cell* cell = most_accurate(rate_runs(results, arm.name));
    if (cell == nullptr || !(cell->wall_seconds > 0)) continue;
    if (arm.name == results.setup.baseline) reference = cell->wall_seconds;
    std::string text =
        arm.name + " " + core::fixed(cell->wall_seconds, 1) + " s";
    if (reference > 0 && arm.name != results.setup.baseline) {
      text += " (" + fixed_text(100 * (cell->wall_seconds / reference - 1), 1) +
              " %)";
    }
    parts.push_back(std::move(text));
  }
  return parts.empty() ? "no times yet" : core::join(parts, "; ");
}

std::string range_text(const Results& results) {
  std::vector<std::string> parts;
  for (const Arm& arm : results.arms) {
    double low = HUGE_VAL;
    double high = 0;
    for (const Cell* cell : rate_runs(results, arm.name)) {
      if (!is_success(*cell)) continue;
      low = std::min(low, cell->hidden_lr);
      high = std::max(high, cell->hidden_lr);
    }
    if (high > 0) {
      parts.push_back(arm.name + " " + core::fixed(high / low, 1) + "x");
    }
  }
  return parts.empty() ? "no run succeeded" : core::join(parts, "; ");
}

std::string success_text(const Results& results) {
  std::vector<std::string> parts;
  std::int64_t most = -1;
  std::string who;
  for (const Arm& arm : results.arms) {
    const auto runs = rate_runs(results, arm.name);
    const std::int64_t count = std::count_if(
        runs.begin(), runs.end(), [](const Cell* c) { return is_success(*c); });
    parts.push_back(arm.name + " " + std::to_string(count) + " of " +
                    std::to_string(runs.size()));
    if (count == most) who += " and " + arm.name;
    if (count > most) {
      most = count;
      who = arm.name;
    }
  }
  return who + " (" + core::join(parts, "; ") + ")";
}

std::string basin_text(const Results& results) {
  std::vector<std::string> parts;
  for (const Arm& arm : results.arms) {
    for (const RateSearch& search : arm.searches) {
      const auto shape = rate_shape(results, arm, search.rate);
      if (!is_rate(search.rate) || !shape) continue;
      const bool open = shape->basin.open_low || shape->basin.open_high;
      parts.push_back(arm.name + (open ? " at least " : " ") +
                      core::fixed(shape->basin.octaves, 1) + " octaves");
    }
  }
  return parts.empty() ? "no basin can be measured yet"
                       : core::join(parts, "; ");
}

Table conclusions(const Results& results) {
  Table table;
  table.heading = {"its rule", "it published", "by its rule, our runs",
                   "an honest reading"};
  table.text_columns = 4;
  table.rows = {
      {"best: highest final held-out accuracy",
       "muon by 0.0127 (0.9845 at 0.01 against 0.9718 at 0.003)",
       most_accurate_text(results),
       std::string("one run each (n = 1): no interval, no p value; ") +
           (results.setup.split_by_windows
                ? "and the held-out windows are windows of the training text"
                : "the rate is chosen on the windows that are reported")},
      {"stable range: largest over smallest rate whose run did not fail",
       "adamw 1000.0x; muon 50.0x", range_text(results),
       "that is the ratio of the grid's ends when no run fails. Rates within "
       "0.02 nats of the best: " +
           basin_text(results)},
      {"more stable: more runs that did not fail",
       "adamw in one line of its report, by the range; muon in another (8 runs "
       "against 7)",
       success_text(results),
       "that is the number of rates tried, when no run fails"},
      {"overhead: time of the best runs", "muon +16.0 % (83.9 s, 72.3 s)",
       best_times_text(results),
       "times of runs that may have shared the machine; \"Cost\" has the step "
       "times of runs that had it to themselves, where there are any"}};
  return table;
}

}  // namespace

double capped_perplexity(double loss) {
  return std::exp(std::min(loss, kLargestExponent));
}

std::optional<double> late_train_loss(const Cell& cell, std::int64_t steps) {
  const std::int64_t step = steps * kLateIndex / kTheirSteps + 1;
  const CurvePoint* nearest = nullptr;
  for (const CurvePoint& point : cell.train) {
    if (nearest == nullptr ||
        std::abs(point.step - step) < std::abs(nearest->step - step)) {
      nearest = &point;
    }
  }
  if (nearest == nullptr) return std::nullopt;
  return nearest->loss;
}

std::vector<const Cell*> rate_runs(const Results& results,
                                   const std::string& arm) {
  std::vector<const Cell*> runs;
  for (const Cell& cell : results.cells) {
    if (cell.arm == arm && competes(cell) && counted_loss(cell)) {
      runs.push_back(&cell);
    }
  }
  std::stable_sort(runs.begin(), runs.end(), [](const Cell* a, const Cell* b) {
    return a->hidden_lr < b->hidden_lr;
  });
  return runs;
}

const Cell* most_accurate(const std::vector<const Cell*>& runs) {
  const Cell* best = nullptr;
  for (const Cell* cell : runs) {
    if (!is_success(*cell) || !cell->accuracy) continue;
    if (best == nullptr || *cell->accuracy > *best->accuracy) best = cell;
  }
  return best;
}

const PublishedRate* counterpart(const Cell& cell, const Arm& arm,
                                 const std::vector<const Cell*>& runs) {
  const auto rows = published_of(arm.rule);
  for (const PublishedRate* row : rows) {
    // A grid that is a multiple shares rates with the published one by chance.
    if (arm.name == arm.rule && same(cell.hidden_lr, row->rate)) return row;
  }
  if (arm.name == arm.rule || runs.size() != rows.size()) return nullptr;
  const double factor = runs.front()->hidden_lr / rows.front()->rate;
  const PublishedRate* found = nullptr;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (!same(runs[i]->hidden_lr, factor * rows[i]->rate)) return nullptr;
    if (runs[i] == &cell) found = rows[i];
  }
  return found;
}

Section published_rates_section(const Results& results) {
  Section section{"As the published study computed it", {}};
  if (results.setup.report != kFirstStudy) return section;
  section.blocks.emplace_back(Paragraph{
      "The tables and conclusions of its Experiment 1 by the study's own "
      "rules, from our runs, beside what it published "
      "(vukrosic/muon-optimizer-research, commit b093d08). The text, the "
      "batches and the precision differ, so only shapes can agree."});
  section.blocks.emplace_back(conclusions(results));
  section.blocks.emplace_back(Subheading{"Every rate, beside the published"});
  section.blocks.emplace_back(beside_published(results));
  section.blocks.emplace_back(Paragraph{
      "Train loss: of a single batch after 550 of 600 steps (the same share "
      "here). Perplexity: exp(min(loss, 20)). Published held-out losses and "
      "perplexities were read off a figure, within 0.5 %. An arm whose rates "
      "are a multiple of the published ones stands beside the run at the same "
      "place in the grid. One run for each rate."});
  return section;
}

}  // namespace muonlab::study::detail
