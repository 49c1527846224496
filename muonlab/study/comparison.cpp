#include "muonlab/study/comparison.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "muonlab/core/error.h"
#include "muonlab/core/text.h"
#include "muonlab/statistics/effect_size.h"
#include "muonlab/statistics/holm.h"
#include "muonlab/statistics/permutation.h"

namespace muonlab::study {

namespace {

struct FinalRun {
  double loss = 0;
  std::optional<double> bits_per_byte;
};
using FinalRuns = std::map<std::uint64_t, FinalRun>;  // by seed

void check_arms(const Results& results) {
  std::vector<std::string> names;
  for (const Arm& arm : results.arms) {
    MUONLAB_CHECK(
        std::find(names.begin(), names.end(), arm.name) == names.end(),
        "study: two arms are named '", arm.name, "'");
    names.push_back(arm.name);
  }
  const std::string& baseline = results.setup.baseline;
  MUONLAB_CHECK(std::find(names.begin(), names.end(), baseline) != names.end(),
                "study: baseline '", baseline, "' is not an arm",
                core::suggestion(baseline, names));
}

FinalRuns final_runs(const Results& results, const std::string& arm) {
  FinalRuns runs;
  for (const Cell& cell : results.cells) {
    if (cell.phase != "final" || cell.arm != arm) continue;
    const std::optional<double> loss = counted_loss(cell);
    if (!loss) continue;
    MUONLAB_CHECK(std::isfinite(*loss), "study: cell '", cell.id,
                  "': loss is not finite: got ", *loss);
    // A diverged run has no bits per byte of its own that would mean anything.
    const bool done = cell.state == "done";
    const bool fresh =
        runs.try_emplace(cell.seed,
                         FinalRun{*loss, done ? cell.bits_per_byte
                                              : std::optional<double>()})
            .second;
    MUONLAB_CHECK(fresh, "study: arm '", arm, "' has two final runs with seed ",
                  cell.seed);
  }
  return runs;
}

ArmSummary summarize(const Results& results, const std::string& arm,
                     const FinalRuns& runs) {
  ArmSummary summary;
  summary.arm = arm;
  std::vector<double> bits;
  for (const auto& [seed, run] : runs) {
    summary.seeds.push_back(seed);
    summary.losses.push_back(run.loss);
    if (run.bits_per_byte) bits.push_back(*run.bits_per_byte);
  }
  if (!runs.empty()) summary.mean_loss = statistics::mean(summary.losses);
  if (runs.size() >= 2)
    summary.sd = statistics::standard_deviation(summary.losses);
  if (!runs.empty() && bits.size() == runs.size()) {
    summary.mean_bits_per_byte = statistics::mean(bits);
  }
  for (const Cell& cell : results.cells) {
    if (cell.phase != "final" || cell.arm != arm) continue;
    if (cell.state == "diverged") ++summary.diverged;
    if (cell.state == "failed") ++summary.failed;
  }
  const std::set<std::uint64_t> planned(results.setup.final_seeds.begin(),
                                        results.setup.final_seeds.end());
  for (const std::uint64_t seed : planned) {
    if (!runs.contains(seed)) ++summary.missing;
  }
  return summary;
}

std::string plural(std::size_t count, const std::string& noun) {
  return std::to_string(count) + " " + noun + (count == 1 ? "" : "s");
}

void warn(Comparison& comparison, const ArmSummary& arm,
          const ArmSummary& baseline, std::size_t planned) {
  std::vector<std::string>& warnings = comparison.warnings;
  for (const ArmSummary* one : {&arm, &baseline}) {
    if (one->diverged > 0) {
      warnings.push_back(
          plural(static_cast<std::size_t>(one->diverged), "final run") +
          " of " + one->arm +
          " diverged and counts with the loss at initialisation; a t test is "
          "a poor description of such a sample");
    }
  }
  if (comparison.n() < planned) {
    warnings.push_back("only " + std::to_string(comparison.n()) + " of " +
                       plural(planned, "planned seed") + " have both " +
                       arm.arm + " and " + baseline.arm +
                       "; the comparison uses those");
  }
  if (comparison.test && !comparison.test->spread) {
    warnings.push_back(
        "the difference is the same in every seed, so a t test has no spread "
        "to work with and no p value is given");
  }
  if (comparison.n() > statistics::kMostForSignFlip) {
    warnings.push_back("the exact sign-flip test is left out above " +
                       std::to_string(statistics::kMostForSignFlip) + " seeds");
  }
}

Comparison compare(const std::string& arm, const FinalRuns& runs,
                   const FinalRuns& baseline) {
  Comparison comparison;
  comparison.arm = arm;
  std::vector<double> ours;
  std::vector<double> theirs;
  std::vector<double> bits;
  for (const auto& [seed, run] : runs) {
    const auto other = baseline.find(seed);
    if (other == baseline.end()) continue;
    comparison.seeds.push_back(seed);
    ours.push_back(run.loss);
    theirs.push_back(other->second.loss);
    comparison.differences.push_back(run.loss - other->second.loss);
    if (run.bits_per_byte && other->second.bits_per_byte) {
      bits.push_back(*run.bits_per_byte - *other->second.bits_per_byte);
    }
  }
  if (comparison.n() == 0) return comparison;
  comparison.arm_mean = statistics::mean(ours);
  comparison.baseline_mean = statistics::mean(theirs);
  comparison.difference = statistics::mean(comparison.differences);
  if (bits.size() == comparison.n()) {
    comparison.bits_per_byte_difference = statistics::mean(bits);
  }
  if (comparison.n() < 2) return comparison;
  comparison.test = statistics::paired_t_test(ours, theirs);
  comparison.hedges_g = statistics::hedges_g(ours, theirs);
  if (comparison.n() <= statistics::kMostForSignFlip) {
    const statistics::SignFlip flip =
        statistics::sign_flip_test(comparison.differences);
    comparison.p_sign_flip = flip.p;
    comparison.sign_flip_floor = flip.floor;
  }
  return comparison;
}

void adjust(std::vector<Comparison>& comparisons) {
  std::vector<Comparison*> tested;
  std::vector<double> p_values;
  for (Comparison& comparison : comparisons) {
    if (!comparison.test || !comparison.test->p) continue;
    tested.push_back(&comparison);
    p_values.push_back(*comparison.test->p);
  }
  const std::vector<double> adjusted = statistics::holm(p_values);
  for (std::size_t i = 0; i < tested.size(); ++i) {
    tested[i]->p_holm = adjusted[i];
  }
}

}  // namespace

std::optional<double> counted_loss(const Cell& cell) {
  if (cell.state == "done") return cell.loss;
  if (cell.state == "diverged") {
    return cell.loss ? cell.loss : std::optional<double>(cell.initial_loss);
  }
  return std::nullopt;
}

ComparisonTable compare_to_baseline(const Results& results) {
  check_arms(results);
  ComparisonTable table;
  table.baseline = results.setup.baseline;
  for (const Cell& cell : results.cells) {
    if (cell.state == "queued" || cell.state == "running") ++table.unfinished;
  }
  std::map<std::string, FinalRuns> runs;
  std::map<std::string, ArmSummary> summaries;
  for (const Arm& arm : results.arms) {
    runs[arm.name] = final_runs(results, arm.name);
    summaries[arm.name] = summarize(results, arm.name, runs[arm.name]);
    table.arms.push_back(summaries[arm.name]);
    if (summaries[arm.name].missing > 0 ||
        (runs[arm.name].empty() && !results.setup.final_seeds.empty())) {
      table.complete = false;
    }
  }
  for (const Arm& arm : results.arms) {
    if (arm.name == table.baseline) continue;
    Comparison comparison =
        compare(arm.name, runs[arm.name], runs[table.baseline]);
    warn(comparison, summaries[arm.name], summaries[table.baseline],
         results.setup.final_seeds.size());
    table.comparisons.push_back(std::move(comparison));
  }
  adjust(table.comparisons);
  return table;
}

}  // namespace muonlab::study
