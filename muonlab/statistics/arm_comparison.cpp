#include "muonlab/statistics/arm_comparison.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "muonlab/core/error.h"
#include "muonlab/core/text.h"
#include "muonlab/statistics/effect_size.h"
#include "muonlab/statistics/holm.h"
#include "muonlab/statistics/planning.h"
#include "muonlab/statistics/sample_internal.h"

namespace muonlab::statistics {

namespace {

constexpr double kPower = 0.8;

std::vector<ArmValues> arms_of(const std::vector<Run>& runs, bool paired) {
  std::vector<ArmValues> arms;
  std::set<std::pair<std::string, std::string>> seen;
  for (const Run& run : runs) {
    MUONLAB_CHECK(std::isfinite(run.value), "arm '", run.arm, "', seed ",
                  run.seed, ": value is not finite: got ", run.value);
    MUONLAB_CHECK(!paired || seen.emplace(run.arm, run.seed).second, "arm '",
                  run.arm, "': two values for seed ", run.seed);
    auto found =
        std::find_if(arms.begin(), arms.end(),
                     [&](const ArmValues& arm) { return arm.arm == run.arm; });
    if (found == arms.end()) {
      arms.push_back({run.arm, {}, {}, 0, {}});
      found = arms.end() - 1;
    }
    found->seeds.push_back(run.seed);
    found->values.push_back(run.value);
  }
  for (ArmValues& arm : arms) {
    arm.mean = mean(arm.values);
    if (arm.values.size() >= 2) arm.sd = standard_deviation(arm.values);
  }
  return arms;
}

void check_options(const std::vector<ArmValues>& arms,
                   const ArmComparisonOptions& options) {
  MUONLAB_CHECK(arms.size() >= 2, "comparison: got ", arms.size(),
                arms.size() == 1 ? " arm ('" + arms[0].arm + "')" : " arms",
                ", expected two or more");
  check_alpha("comparison", options.alpha);
  MUONLAB_CHECK(!options.margin ||
                    (*options.margin > 0 && std::isfinite(*options.margin)),
                "comparison: margin: got ", options.margin.value_or(0),
                ", expected a positive number");
  if (options.baseline.empty()) return;
  std::vector<std::string> names;
  for (const ArmValues& arm : arms) names.push_back(arm.arm);
  MUONLAB_CHECK(
      std::find(names.begin(), names.end(), options.baseline) != names.end(),
      "comparison: baseline: no arm is named '", options.baseline, "'",
      core::suggestion(options.baseline, names));
}

struct Pairs {
  std::vector<std::string> seeds;
  std::array<std::vector<double>, 2> values;
};

Pairs common_runs(const ArmValues& first, const ArmValues& second) {
  Pairs pairs;
  for (std::size_t i = 0; i < first.seeds.size(); ++i) {
    const auto found =
        std::find(second.seeds.begin(), second.seeds.end(), first.seeds[i]);
    if (found == second.seeds.end()) continue;
    pairs.seeds.push_back(first.seeds[i]);
    pairs.values[0].push_back(first.values[i]);
    pairs.values[1].push_back(
        second.values[static_cast<std::size_t>(found - second.seeds.begin())]);
  }
  return pairs;
}

std::string count(std::size_t n, const char* what) {
  return std::to_string(n) + " " + what + (n == 1 ? "" : "s");
}

// Which figures go by which runs, where the arms have different seeds.
void warn_of_pairing(ArmComparison& made, std::size_t common) {
  if (common == made.runs[0] && common == made.runs[1]) return;
  const std::string all = std::to_string(made.runs[0]) + " and " +
                          std::to_string(made.runs[1]) + " runs";
  made.warnings.push_back(
      made.paired
          ? "the arms differ in their seeds: the paired figures are of the " +
                count(common, "common seed") +
                "; Welch's, the label permutation, Hedges' g and the "
                "probability of improvement are of all " +
                all
          : "the arms have " + count(common, "common seed") +
                ": nothing is paired, all figures are of " + all);
}

void warn_of_size(ArmComparison& made, double alpha) {
  if (made.n < kFewestForTest) {
    made.warnings.push_back("n = " + std::to_string(made.n) +
                            ": no p value and no interval below n = " +
                            std::to_string(kFewestForTest));
    return;
  }
  if (made.sign_flip && made.sign_flip->floor > alpha) {
    made.warnings.push_back(
        "n = " + std::to_string(made.n) + ": the sign-flip p cannot go below " +
        core::shortest(made.sign_flip->floor) + ", whatever the data are");
  }
  if (made.permutation && made.permutation->floor > alpha) {
    made.warnings.push_back("the permutation p cannot go below " +
                            core::fixed(made.permutation->floor, 3) +
                            ", whatever the data are");
  }
}

void exact_tests(ArmComparison& made, const Pairs& pairs,
                 const ArmValues& first, const ArmValues& second) {
  if (made.paired && made.n <= kMostForSignFlip) {
    std::vector<double> differences(made.n);
    std::transform(pairs.values[0].begin(), pairs.values[0].end(),
                   pairs.values[1].begin(), differences.begin(),
                   std::minus<>());
    made.sign_flip = sign_flip_test(differences);
  } else if (made.paired) {
    made.warnings.push_back("no sign-flip p: all patterns are tried up to " +
                            std::to_string(kMostForSignFlip) + " pairs only");
  }
  if (std::min(made.runs[0], made.runs[1]) < 2) return;
  if (label_splits(made.runs[0], made.runs[1]) <= kMostSplits) {
    made.permutation = label_permutation_test(first.values, second.values);
  } else {
    made.warnings.push_back(
        "no permutation p: all splits are tried up to " +
        core::grouped(static_cast<std::int64_t>(kMostSplits)) + " only");
  }
}

void bootstrap_interval(ArmComparison& made, const Pairs& pairs,
                        const ArmValues& first, const ArmValues& second,
                        const ArmComparisonOptions& options) {
  if (made.n < kFewestForBootstrap) {
    made.warnings.push_back(
        "n = " + std::to_string(made.n) + ": no bootstrap interval below n = " +
        std::to_string(kFewestForBootstrap) + ", where it is too narrow");
    return;
  }
  const Groups groups = made.paired ? Groups{pairs.values[0], pairs.values[1]}
                                    : Groups{first.values, second.values};
  made.bootstrap = bootstrap(
      groups,
      [](const Groups& drawn) { return mean(drawn[0]) - mean(drawn[1]); },
      made.paired ? Resampling::kPaired : Resampling::kStratified,
      {options.resamples, options.bootstrap_seed, kAlpha});
  if (!made.bootstrap->bca) {
    made.warnings.push_back("no BCa interval: the differences have no spread");
  }
}

void plan_for_power(ArmComparison& made, const ArmValues& first,
                    const ArmValues& second, double alpha) {
  if (!made.test() || !made.test()->p) return;
  double sd = made.sd_difference.value_or(0);
  if (!made.paired) {
    sd = std::sqrt((*first.sd * *first.sd + *second.sd * *second.sd) / 2);
  }
  made.runs_for_80_percent_power = runs_needed(
      made.mean_difference, sd,
      made.paired ? Design::kPaired : Design::kTwoGroups, kPower, alpha);
  if (!made.runs_for_80_percent_power) {
    made.warnings.push_back(
        "a difference this small would need more than a million runs");
  }
}

void t_tests(ArmComparison& made, const Pairs& pairs, const ArmValues& first,
             const ArmValues& second, const ArmComparisonOptions& options) {
  std::optional<TTest> wide;  // at alpha
  if (std::min(made.runs[0], made.runs[1]) >= 2) {
    made.welch_test = welch_t_test(first.values, second.values);
    wide = welch_t_test(first.values, second.values, options.alpha);
    made.hedges_g = hedges_g(first.values, second.values);
  }
  if (made.paired) {
    const auto& [ours, theirs] = pairs.values;
    made.paired_test = paired_t_test(ours, theirs);
    wide = paired_t_test(ours, theirs, options.alpha);
    made.sd_difference = made.paired_test->standard_error *
                         std::sqrt(static_cast<double>(made.n));
  }
  if (!wide) return;
  made.mean_difference = wide->difference;
  made.interval = wide->interval;
  if (options.margin) {
    made.equivalence = equivalence_test(*wide, *options.margin, options.alpha);
  }
  if (!wide->spread) {
    made.warnings.push_back(
        made.paired ? "no spread: the difference is the same for every seed, "
                      "so no t test; are these runs truly separate?"
                    : "no spread: each arm has one value for all runs, so no t "
                      "test; are these runs truly separate?");
  }
}

ArmComparison compare(const ArmValues& first, const ArmValues& second,
                      const ArmComparisonOptions& options) {
  ArmComparison made;
  made.arms = {first.arm, second.arm};
  made.runs = {first.values.size(), second.values.size()};
  made.n = std::min(made.runs[0], made.runs[1]);
  made.means = {first.mean, second.mean};
  made.sds = {first.sd, second.sd};
  made.mean_difference = first.mean - second.mean;
  Pairs pairs;
  if (options.paired) {
    pairs = common_runs(first, second);
    const std::size_t common = pairs.seeds.size();
    made.paired =
        common >= kFewestForTest ||
        (common == 2 && made.runs == std::array<std::size_t, 2>{2, 2});
    if (made.paired) {
      made.seeds = pairs.seeds;
      made.n = pairs.seeds.size();
      for (std::size_t i : {0U, 1U}) {
        made.means[i] = mean(pairs.values[i]);
        made.sds[i] = standard_deviation(pairs.values[i]);
      }
    }
    warn_of_pairing(made, common);
  }
  made.probability_of_improvement =
      probability_of_improvement(first.values, second.values);
  t_tests(made, pairs, first, second, options);
  exact_tests(made, pairs, first, second);
  warn_of_size(made, options.alpha);
  bootstrap_interval(made, pairs, first, second, options);
  plan_for_power(made, first, second, options.alpha);
  return made;
}

void adjust(std::vector<ArmComparison>& comparisons) {
  std::vector<double> p_values;
  std::vector<ArmComparison*> tested;
  for (ArmComparison& made : comparisons) {
    const std::optional<TTest>& test = made.test();
    if (!test || !test->p) continue;
    p_values.push_back(*test->p);
    tested.push_back(&made);
  }
  const std::vector<double> adjusted = holm(p_values);
  for (std::size_t i = 0; i < tested.size(); ++i) {
    tested[i]->p_holm = adjusted[i];
  }
}

}  // namespace

ArmTable compare_arms(const std::vector<Run>& runs,
                      const ArmComparisonOptions& options) {
  ArmTable table;
  table.arms = arms_of(runs, options.paired);
  check_options(table.arms, options);
  const std::string& baseline = options.baseline;
  for (std::size_t i = 0; i < table.arms.size(); ++i) {
    for (std::size_t j = 0; j < table.arms.size(); ++j) {
      const bool wanted =
          baseline.empty() ? i < j : i != j && table.arms[j].arm == baseline;
      if (wanted) {
        table.comparisons.push_back(
            compare(table.arms[i], table.arms[j], options));
      }
    }
  }
  adjust(table.comparisons);
  return table;
}

}  // namespace muonlab::statistics
