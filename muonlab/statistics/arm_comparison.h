// A table of runs in, every pair of arms compared: what `muonlab stats` prints.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "muonlab/statistics/bootstrap.h"
#include "muonlab/statistics/permutation.h"
#include "muonlab/statistics/sample.h"
#include "muonlab/statistics/t_tests.h"

namespace muonlab::statistics {

/// One run; smaller values are better.
struct Run {
  std::string arm;
  std::string seed;  ///< what pairs the arms; any text
  double value = 0;
};

struct ArmComparisonOptions {
  /// Compare each arm with this one; empty: all pairs of arms.
  std::string baseline;
  /// False: seeds pair nothing, and only unpaired tests are made.
  bool paired = true;
  double alpha = kAlpha;
  std::optional<double> margin;  ///< of the equivalence test
  std::size_t resamples = 10'000;
  std::uint64_t bootstrap_seed = 0;
};

struct ArmValues {
  std::string arm;
  std::vector<std::string> seeds;  ///< in the order of the table
  std::vector<double> values;
  double mean = 0;
  std::optional<double> sd;  ///< unset for one value
};

/// Two arms; differences are first - second, so negative: the first is ahead.
///
/// Paired figures are of the common seeds, the others of all runs of each arm.
struct ArmComparison {
  std::array<std::string, 2> arms;
  bool paired = false;  ///< three common seeds or more, or both runs of two
  std::vector<std::string> seeds;  ///< the common ones; empty when unpaired
  std::array<std::size_t, 2> runs{};
  std::size_t n = 0;            ///< pairs; unpaired: the smaller group
  std::array<double, 2> means;  ///< over the pairs; unpaired: over all runs
  std::array<std::optional<double>, 2> sds;  ///< of the same runs as `means`
  double mean_difference = 0;
  std::optional<double> sd_difference;  ///< over pairs
  std::optional<TTest> paired_test;     ///< with the 95 % interval
  std::optional<TTest> welch_test;      ///< with the 95 % interval
  std::optional<Interval> interval;     ///< 1 - alpha, paired or Welch's
  std::optional<SignFlip> sign_flip;    ///< when paired
  std::optional<LabelPermutation> permutation;
  std::optional<double> p_holm;        ///< of the paired p, else Welch's
  std::optional<Bootstrap> bootstrap;  ///< of the mean difference, 95 %
  std::optional<Equivalence> equivalence;
  std::optional<double> hedges_g;
  double probability_of_improvement = 0;  ///< that the first's value is lower
  /// Pairs, or runs in each group, that find the observed difference.
  std::optional<std::size_t> runs_for_80_percent_power;
  std::vector<std::string> warnings;

  /// The test that interval, Holm and equivalence go by; unset below n = 2.
  [[nodiscard]] const std::optional<TTest>& test() const {
    return paired ? paired_test : welch_test;
  }
};

struct ArmTable {
  std::vector<ArmValues> arms;  ///< in order of appearance
  std::vector<ArmComparison> comparisons;
};

/// Throws Error(kInvalidArgument) when there are fewer than two arms, an arm
/// has two runs of one seed (when paired), a value is not finite, the baseline
/// is not among the arms, or an option is out of range.
[[nodiscard]] ArmTable compare_arms(const std::vector<Run>& runs,
                                    const ArmComparisonOptions& options = {});

}  // namespace muonlab::statistics
