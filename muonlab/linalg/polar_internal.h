// The parts of polar_factor that polar.cpp puts together.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "muonlab/linalg/polar.h"

namespace muonlab::linalg {

/// Where an iteration starts. x: (..., n, m), n <= m.
struct PolarStart {
  at::Tensor x;
  /// x x^T, where finding the norm gave it away; else undefined.
  at::Tensor gram;
};

/// x divided as PolarNorm and PolarEps say, in its own dtype.
[[nodiscard]] PolarStart normalised(const at::Tensor& x,
                                    const PolarOptions& options, double safety);

/// `steps` steps of the table's rows; x's dtype is what the products are in.
/// With `master` x is float32, and the products' operands are bfloat16.
[[nodiscard]] at::Tensor newton_schulz(PolarStart start,
                                       const PolarTable& table, int steps,
                                       bool master);

/// The same polynomials on the n x n side; `restarts` ascending, each less than
/// `steps`. With `mixed` x is float32, and x x^T and Q x take operands rounded
/// to bfloat16.
[[nodiscard]] at::Tensor gram_newton_schulz(PolarStart start,
                                            const PolarTable& table, int steps,
                                            const std::vector<int>& restarts,
                                            bool mixed);

}  // namespace muonlab::linalg
