// Which windows of a token sequence a training step sees.
#pragma once

#include <cstdint>
#include <vector>

#include "muonlab/core/philox.h"

namespace muonlab::data {

struct SamplerOptions {
  std::int64_t n_tokens = 0;  ///< in the split
  std::int64_t context = 0;   ///< T: tokens that a window predicts, 1 or more
  std::int64_t batch = 0;     ///< windows per step over all ranks
  std::uint64_t seed = 0;
  /// First tokens of the windows to deal out instead; none: those described at
  /// Sampler.
  std::vector<std::int64_t> windows = {};
  std::int64_t rank = 0;   ///< in [0, world)
  std::int64_t world = 1;  ///< ranks; divides `batch`
};

/// Deals out windows in a shuffled order. The window that starts at s has the
/// input tokens[s .. s+T-1] and the targets tokens[s+1 .. s+T].
///
/// An epoch cuts the tokens into `windows_per_epoch()` windows that follow each
/// other without a gap, starting at an offset in [0, T) that differs from epoch
/// to epoch, and visits each once. (A remainder of fewer than 2T tokens, at
/// both ends together, is left for other epochs.) Steps count on through
/// epochs: sequence g = step * batch + rank * (batch / world) + i is window g
/// mod W of epoch g div W, so a step can hold the end of one epoch and the
/// start of the next.
///
/// All is a pure function of the options and the step: there is no state to
/// save, and the windows of all ranks together, in rank order, are those of one
/// rank with the whole batch. Thread-safe.
class Sampler {
 public:
  /// Throws Error(kInvalidArgument) when there are fewer than context + 1
  /// tokens, or an option is out of range.
  explicit Sampler(const SamplerOptions& options);

  /// First tokens of this rank's batch / world windows in `step`, 0 or more.
  [[nodiscard]] std::vector<std::int64_t> starts(std::int64_t step) const;
  /// The epoch of the first sequence of `step`, over all ranks.
  [[nodiscard]] std::int64_t epoch(std::int64_t step) const;
  [[nodiscard]] std::int64_t windows_per_epoch() const { return windows_; }

 private:
  [[nodiscard]] std::int64_t start_of(std::int64_t sequence) const;
  [[nodiscard]] std::uint64_t permuted(std::uint64_t epoch,
                                       std::uint64_t index) const;
  [[nodiscard]] std::uint64_t feistel(std::uint64_t epoch,
                                      std::uint64_t value) const;

  SamplerOptions options_;
  core::Random order_;
  core::Random offset_;
  std::int64_t windows_ = 0;  // W
  std::int64_t offsets_ = 1;  // how many offsets an epoch can have
  int half_bits_ = 1;
};

/// Starts 0, T, 2T, ... of the windows on which held-out loss is measured: all
/// that fit, or the first `max_windows` when that is above 0. Throws
/// Error(kInvalidArgument) when not even one fits.
[[nodiscard]] std::vector<std::int64_t> held_out_starts(
    std::int64_t n_tokens, std::int64_t context, std::int64_t max_windows = 0);

}  // namespace muonlab::data
