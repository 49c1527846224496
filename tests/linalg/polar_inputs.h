// Matrices of known difficulty for the polar factor, and how far two results
// are apart.
#pragma once

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "muonlab/linalg/polar.h"
#include "tests/support/tensors.h"

namespace muonlab::testing {

struct Shape {
  std::int64_t rows, columns;
};
inline void PrintTo(const Shape& s, std::ostream* out) {
  *out << s.rows << "x" << s.columns;
}

/// Orthonormal columns, float64.
inline at::Tensor orthonormal(std::int64_t rows, std::int64_t columns,
                              std::uint64_t seed) {
  return std::get<0>(
      at::linalg_qr(random_tensor({rows, columns}, seed), "reduced"));
}

/// U diag(s) V^T with singular values log-spaced from 1 down to 1 / condition.
inline at::Tensor conditioned(const Shape& shape, double condition,
                              std::uint64_t seed) {
  const std::int64_t n = std::min(shape.rows, shape.columns);
  const at::Tensor s = at::logspace(0, -std::log10(condition), n, 10.0,
                                    at::TensorOptions(at::kDouble));
  return orthonormal(shape.rows, n, seed)
      .mul(s)
      .mm(orthonormal(shape.columns, n, seed + 1).t());
}

/// Rank n/4 of n, rounded up.
inline at::Tensor rank_deficient(const Shape& shape, std::uint64_t seed) {
  const std::int64_t rank = (std::min(shape.rows, shape.columns) + 3) / 4;
  return random_tensor({shape.rows, rank}, seed)
      .mm(random_tensor({rank, shape.columns}, seed + 1));
}

struct Input {
  std::string name;
  at::Tensor matrix;
};
inline std::vector<Input> inputs(const Shape& shape, std::uint64_t seed) {
  return {{"gaussian", random_tensor({shape.rows, shape.columns}, seed)},
          {"condition 1e4", conditioned(shape, 1e4, seed)},
          {"rank-deficient", rank_deficient(shape, seed)}};
}

/// |a - b|_F / sqrt(n), n the short side: the root of the mean square error per
/// singular direction. NaN stays NaN, so compare with <=.
inline double error_per_direction(const at::Tensor& a, const at::Tensor& b) {
  const auto n = static_cast<double>(std::min(a.size(-2), a.size(-1)));
  return a.to(at::kDouble).sub(b.to(at::kDouble)).norm().item<double>() /
         std::sqrt(n);
}

/// How much `steps` steps of a table lift a tiny singular value.
inline double slope_of(const PolarTable& table, int steps) {
  double slope = 1;
  for (std::size_t i = 0; i < static_cast<std::size_t>(steps); ++i) {
    slope *= table.rows[std::min(i, table.rows.size() - 1)].a;
  }
  return slope;
}

/// What rounding may do to the Gram form: as newton_schulz_bound, but errors
/// live on squares of singular values, where the slope is squared.
/// Coefficients are below 25.
inline double gram_bound(const PolarTable& table, int steps, const Shape& shape,
                         double eps) {
  const double slope = slope_of(table, steps);
  return 25 * steps * slope * slope *
         std::sqrt(static_cast<double>(shape.rows + shape.columns)) * eps;
}

}  // namespace muonlab::testing
