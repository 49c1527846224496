// The statistics of a study: each arm against the baseline, paired by seed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "muonlab/statistics/sample.h"
#include "muonlab/statistics/t_tests.h"
#include "muonlab/study/results.h"

namespace muonlab::study {

/// The final runs of one arm. A diverged run counts with the loss at
/// initialisation; failed and unfinished ones do not count.
struct ArmSummary {
  std::string arm;
  std::vector<std::uint64_t> seeds;  ///< that have a loss, ascending
  std::vector<double> losses;        ///< nats per token, one per seed
  std::optional<double> mean_loss;
  std::optional<double> sd;                  ///< over seeds; unset for n < 2
  std::optional<double> mean_bits_per_byte;  ///< set when every run has it
  int diverged = 0;
  int failed = 0;
  int missing = 0;  ///< planned final seeds without a finished run
};

/// One arm against the baseline on the seeds that both have.
struct Comparison {
  std::string arm;
  std::vector<std::uint64_t> seeds;
  std::vector<double> differences;  ///< arm - baseline; negative: arm ahead
  std::optional<double> arm_mean;   ///< on the common seeds
  std::optional<double> baseline_mean;
  std::optional<double> difference;  ///< mean of `differences`
  std::optional<double> bits_per_byte_difference;
  /// Unset for fewer than two common seeds.
  std::optional<statistics::TTest> test;
  /// Adjusted over all comparisons of the study that have a p value.
  std::optional<double> p_holm;
  std::optional<double> p_sign_flip;
  std::optional<double> sign_flip_floor;
  std::optional<double> hedges_g;
  std::vector<std::string> warnings;

  [[nodiscard]] std::size_t n() const { return seeds.size(); }
  /// p_holm is set and below kAlpha.
  [[nodiscard]] bool established() const {
    return p_holm.has_value() && *p_holm < statistics::kAlpha;
  }
};

struct ComparisonTable {
  std::string baseline;
  std::vector<ArmSummary> arms;         ///< in the plan's order
  std::vector<Comparison> comparisons;  ///< in the plan's order
  int unfinished = 0;    ///< cells of any phase that are queued or running
  bool complete = true;  ///< every planned final run, if any, has ended
};

/// Throws Error(kInvalidArgument) when the baseline is not among the arms, two
/// arms share a name, or an arm has two final runs with one seed.
[[nodiscard]] ComparisonTable compare_to_baseline(const Results& results);

/// The loss that counts for a cell: measured when done, at initialisation when
/// diverged, else unset.
[[nodiscard]] std::optional<double> counted_loss(const Cell& cell);

}  // namespace muonlab::study
