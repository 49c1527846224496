// Attention in float64 as its formula says, with whole matrices, and how far
// the kernels may be from it.
#pragma once

#include <cstddef>
#include <vector>

namespace muonlab::testing {

/// Row-major (tokens, features).
using Doubles = std::vector<double>;

struct AttentionInputs {
  std::size_t tokens = 0;
  std::size_t features = 0;
  double scale = 1;
  Doubles q, k, v, d_o;
};

struct AttentionValues {
  Doubles o, lse, dq, dk, dv;
  double largest_logit = 0;
};

struct AttentionBounds : AttentionValues {};

[[nodiscard]] AttentionValues attention_reference(const AttentionInputs& in);
/// Bounds of the errors of each value, where products have operands of `unit`
/// relative error and sums are float32.
[[nodiscard]] AttentionBounds attention_bounds(const AttentionInputs& in,
                                               const AttentionValues& exact,
                                               double unit);

}  // namespace muonlab::testing
