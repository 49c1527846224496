// The numbers of an overview that belong to no single case.
#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "muonlab/core/error.h"
#include "muonlab/core/text.h"
#include "muonlab/statistics/curves.h"
#include "muonlab/statistics/sample.h"
#include "muonlab/study/overview_internal.h"
#include "muonlab/study/wording_internal.h"

namespace muonlab::study::detail {

namespace {

using Losses = std::map<std::uint64_t, double>;  // by seed

// Of the runs of one arm by length: final runs have length 1.
std::map<double, Losses> losses_by_length(const Results& results,
                                          const std::string& arm) {
  std::map<double, Losses> found;
  for (const Cell& cell : results.cells) {
    if (cell.arm != arm) continue;
    if (cell.phase != "final" && cell.phase != "horizon") continue;
    const std::optional<double> loss = counted_loss(cell);
    if (!loss || !std::isfinite(*loss)) continue;
    found[cell.phase == "final" ? 1 : cell.length][cell.seed] = *loss;
  }
  return found;
}

// The same seeds in the same order everywhere, so that they can be resampled
// together.
std::vector<std::uint64_t> common_seeds(
    const std::map<double, Losses>& reference, const Losses& arm) {
  std::vector<std::uint64_t> seeds;
  for (const auto& [seed, loss] : arm) {
    const bool everywhere =
        std::all_of(reference.begin(), reference.end(),
                    [&](const auto& one) { return one.second.contains(seed); });
    if (everywhere) seeds.push_back(seed);
  }
  return seeds;
}

statistics::HorizonRuns at_horizon(double tokens, const Losses& losses,
                                   const std::vector<std::uint64_t>& seeds) {
  statistics::HorizonRuns runs{tokens, {}};
  for (const std::uint64_t seed : seeds) {
    runs.losses.push_back(losses.at(seed));
  }
  return runs;
}

CaseSpeedup speedup_of(const CaseView& view, std::size_t place,
                       const std::string& arm) {
  CaseSpeedup found{place, arm, 0, 0, {}, ""};
  const auto reference = losses_by_length(*view.results, view.table.baseline);
  const Losses ours = losses_by_length(*view.results, arm)[1];
  const std::vector<std::uint64_t> seeds = common_seeds(reference, ours);
  found.horizons = reference.size();
  found.seeds = seeds.size();
  if (seeds.empty()) {
    found.problem = "no seed has run at every length";
    return found;
  }
  const auto tokens = static_cast<double>(tokens_per_run(view.setup()));
  std::vector<statistics::HorizonRuns> horizons;
  for (const auto& [length, losses] : reference) {
    horizons.push_back(at_horizon(length * tokens, losses, seeds));
  }
  const std::vector<statistics::HorizonRuns> single = {
      at_horizon(tokens, ours, seeds)};
  try {
    found.value = statistics::data_speedup(horizons, single).front();
  } catch (const Error& error) {
    found.problem = error.what();
  }
  return found;
}

std::vector<const Cell*> evaluated_finals(const Results& results,
                                          const std::string& arm) {
  std::vector<const Cell*> cells;
  for (const Cell& cell : results.cells) {
    if (cell.phase == "final" && cell.arm == arm && cell.state == "done") {
      cells.push_back(&cell);
    }
  }
  return cells;
}

struct Curves {
  std::vector<double> steps;
  std::vector<std::vector<double>> losses;  // one for each seed
};

// Unset unless all runs were evaluated at the same two or more steps.
std::optional<Curves> curves_of(const Results& results,
                                const std::string& arm) {
  Curves curves;
  for (const Cell* cell : evaluated_finals(results, arm)) {
    std::vector<double> steps;
    std::vector<double>& losses = curves.losses.emplace_back();
    for (const CurvePoint& point : cell->held_out) {
      if (!std::isfinite(point.loss)) return std::nullopt;
      steps.push_back(static_cast<double>(point.step));
      losses.push_back(point.loss);
    }
    if (!curves.steps.empty() && curves.steps != steps) return std::nullopt;
    curves.steps = std::move(steps);
  }
  if (curves.steps.size() < 2) return std::nullopt;
  return curves;
}

std::optional<statistics::ScalingFit> arm_scaling(const Overview& overview,
                                                  const std::string& arm) {
  const auto runs = size_runs(overview, arm);
  if (!overview.has_sizes() || runs.size() < statistics::kFewestForPowerLaw) {
    return std::nullopt;
  }
  return statistics::scaling_fit(runs);
}

}  // namespace

const ArmSummary* CaseView::summary(const std::string& arm) const {
  for (const ArmSummary& one : table.arms) {
    if (one.arm == arm) return &one;
  }
  return nullptr;
}

const Comparison* CaseView::comparison(const std::string& arm) const {
  for (const Comparison& one : table.comparisons) {
    if (one.arm == arm) return &one;
  }
  return nullptr;
}

bool Overview::has_sizes() const {
  std::set<std::int64_t> sizes;
  for (const CaseView& view : cases) sizes.insert(view.setup().parameters);
  return sizes.size() == cases.size() && sizes.size() >= 2 &&
         *sizes.begin() > 0;
}

bool Overview::has_final_runs() const {
  return std::any_of(cases.begin(), cases.end(), [](const CaseView& view) {
    return !view.setup().final_seeds.empty();
  });
}

Overview view_of(const StudyResults& results) {
  MUONLAB_CHECK(!results.cases.empty(), "overview of study '",
                results.setup.name, "': it has no cases");
  Overview overview{&results, {}, {}};
  for (const Results& one : results.cases) {
    overview.cases.push_back({&one, compare_to_baseline(one)});
  }
  for (const Arm& arm : overview.first().arms) {
    overview.scaling[arm.name] = arm_scaling(overview, arm.name);
  }
  return overview;
}

std::vector<CaseSpeedup> case_speedups(const Overview& overview) {
  std::vector<CaseSpeedup> found;
  for (std::size_t i = 0; i < overview.cases.size(); ++i) {
    const CaseView& view = overview.cases[i];
    const bool any =
        std::any_of(view.results->cells.begin(), view.results->cells.end(),
                    [](const Cell& cell) { return cell.phase == "horizon"; });
    if (!any) continue;
    for (const Comparison& comparison : view.table.comparisons) {
      found.push_back(speedup_of(view, i, comparison.arm));
    }
  }
  return found;
}

std::vector<statistics::SizeRuns> size_runs(const Overview& overview,
                                            const std::string& arm) {
  std::vector<statistics::SizeRuns> runs;
  for (const CaseView& view : overview.cases) {
    const ArmSummary* summary = view.summary(arm);
    if (summary == nullptr || summary->losses.empty()) continue;
    runs.push_back(
        {static_cast<double>(view.setup().parameters), summary->losses});
  }
  return runs;
}

std::optional<statistics::Bootstrap> exponent_difference(
    const Overview& overview, const std::string& arm) {
  const std::string& baseline = overview.study->setup.baseline;
  for (const std::string& one : {arm, baseline}) {
    const auto found = overview.scaling.find(one);
    if (found == overview.scaling.end() || !found->second ||
        !found->second->law.determined()) {
      return std::nullopt;
    }
  }
  for (const CaseView& view : overview.cases) {
    const ArmSummary* ours = view.summary(arm);
    const ArmSummary* theirs = view.summary(baseline);
    if (ours == nullptr || theirs == nullptr || ours->seeds != theirs->seeds ||
        ours->seeds.size() < statistics::kFewestForTest) {
      return std::nullopt;
    }
  }
  return statistics::exponent_difference(size_runs(overview, arm),
                                         size_runs(overview, baseline));
}

std::optional<statistics::LogTrend> difference_trend(const Overview& overview,
                                                     const std::string& arm) {
  std::vector<double> sizes;
  std::vector<double> differences;
  for (const CaseView& view : overview.cases) {
    const Comparison* comparison = view.comparison(arm);
    if (comparison == nullptr || !comparison->difference) continue;
    sizes.push_back(static_cast<double>(view.setup().parameters));
    differences.push_back(*comparison->difference);
  }
  if (!overview.has_sizes() || sizes.size() < 3) return std::nullopt;
  return statistics::trend_against_log(sizes, differences);
}

std::optional<Target> target_steps(const CaseView& view,
                                   const std::string& arm) {
  const auto reference = curves_of(*view.results, view.table.baseline);
  const auto curves = curves_of(*view.results, arm);
  if (!reference || !curves) return std::nullopt;
  std::vector<double> last;
  for (const auto& losses : reference->losses) last.push_back(losses.back());
  Target target;
  target.loss = statistics::mean(last);
  target.baseline_steps = reference->steps.back();
  target.steps =
      statistics::steps_to_target(curves->steps, curves->losses, target.loss);
  return target;
}

std::string overview_phrase(const Overview& overview) {
  std::set<std::uint64_t> seeds;
  std::int64_t least = 0;
  std::int64_t most = 0;
  bool searched = false;
  bool given = false;
  for (const CaseView& view : overview.cases) {
    const std::int64_t tokens = tokens_per_run(view.setup());
    least = least == 0 ? tokens : std::min(least, tokens);
    most = std::max(most, tokens);
    seeds.insert(view.setup().final_seeds.begin(),
                 view.setup().final_seeds.end());
    for (const Arm& arm : view.results->arms) {
      (arm.searched ? searched : given) = true;
    }
  }
  const std::vector<std::uint64_t> all(seeds.begin(), seeds.end());
  std::string text = all.empty() ? "single runs (n = 1)"
                                 : "n = " + std::to_string(all.size()) +
                                       " (seeds " + seeds_text(all) + ")";
  text += "; " + core::grouped(least) +
          (most > least ? " to " + core::grouped(most) : "") +
          " tokens per run; ";
  text += !searched ? "rates given, not tuned here"
          : given   ? "rates tuned per arm in some cases, given in others"
                    : "rates tuned per arm and case on other seeds";
  return text;
}

}  // namespace muonlab::study::detail
