// Training on some windows of a token stream and measuring on others of the
// same stream, as published studies have done it, and how much of what they
// measured they had trained on.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace muonlab::data {

/// A permutation of 0 .. n-1: r = (0, 1, ...); for i = 0 .. n-2, r[i] and
/// r[i + z mod (n - i)] change places, where z is the next number of
/// std::mt19937 with the low 32 bits of `seed`. Equal to PyTorch's
/// torch.randperm(n, generator=torch.Generator().manual_seed(seed)) on the CPU.
/// Throws Error(kInvalidArgument) unless 0 <= n < 2^32 / 20, from where on
/// PyTorch may draw its numbers in another way.
[[nodiscard]] std::vector<std::int64_t> torch_randperm(std::int64_t n,
                                                       std::uint64_t seed);

/// First tokens of windows: the window that starts at s has the input
/// tokens[s .. s+T-1] and the targets tokens[s+1 .. s+T].
struct WindowSplit {
  std::int64_t n_tokens = 0;
  std::int64_t context = 0;              ///< T
  std::vector<std::int64_t> train;       ///< in the order of the permutation
  std::vector<std::int64_t> validation;  ///< the rest of it, in its order
};

/// All n = n_tokens - context windows, one from each token on, permuted by
/// `torch_randperm(n, seed)`: the first n - floor(n * held_out_share) train and
/// the others are held out, as torch.utils.data.random_split does it.
///
/// Windows of both parts overlap, so what is measured on `validation` is mostly
/// how well the training text is remembered; `leakage` counts it. For repeating
/// studies that split so, never for new ones.
///
/// Throws Error(kInvalidArgument) unless context >= 1, 0 < held_out_share < 1
/// and both parts get a window.
[[nodiscard]] WindowSplit window_split(std::int64_t n_tokens,
                                       std::int64_t context,
                                       std::uint64_t seed = 42,
                                       double held_out_share = 0.1);

/// What a sidecar says of a dataset that is split so: the arguments of
/// `window_split` that do not depend on the model.
struct WindowRule {
  static constexpr std::string_view kPrefix = "windows/";

  std::uint64_t seed = 42;
  double held_out_share = 0.1;

  /// "windows/mt19937/seed=42/held_out=0.1".
  [[nodiscard]] std::string text() const;
  /// The inverse of `text`. Throws Error(kCorruptData) for anything else.
  [[nodiscard]] static WindowRule parse(std::string_view text);
};

/// What evaluated windows share with those that were trained on. Targets count
/// once for every evaluated window that holds them, distances are those between
/// first tokens.
struct Leakage {
  std::int64_t targets = 0;            ///< windows * context
  std::int64_t untrained_targets = 0;  ///< were no trained window's target
  double mean_trainings = 0;  ///< how often a target was one in training
  double mean_distance = 0;   ///< to the nearest trained window
  std::int64_t largest_distance = 0;
  std::int64_t neighbours = 0;  ///< evaluated windows with distance 0 or 1
};

/// Counts over windows of `context` tokens, given by their first tokens in any
/// order and as often as they were visited. Throws Error(kInvalidArgument) for
/// a list without windows, and for a start outside [0, 2^32) or a context
/// outside [1, 2^32).
[[nodiscard]] Leakage leakage(std::span<const std::int64_t> trained,
                              std::span<const std::int64_t> evaluated,
                              std::int64_t context);

}  // namespace muonlab::data
