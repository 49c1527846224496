#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "muonlab/linalg/qdwh_internal.h"

namespace muonlab::linalg {

namespace {

// The rational step x (a + b x^2) / (1 + c x^2) that lifts [lower, 1] most.
struct Weights {
  double a, b, c;
};

Weights weights(double lower) {
  const double l2 = lower * lower;
  const double d = std::cbrt(4 * (1 - l2) / (l2 * l2));
  const double root = std::sqrt(1 + d);
  const double a = root + std::sqrt(8 - 4 * d + 8 * (2 - l2) / (l2 * root)) / 2;
  const double b = (a - 1) * (a - 1) / 4;
  return {a, b, a + b - 1};
}

// X <- (b/c) X + (a - b/c) X (I + c X^T X)^-1 by the QR factors of [sqrt(c) X;
// I], which stay accurate however large c is.
at::Tensor step(const at::Tensor& x, const Weights& w) {
  const std::int64_t rows = x.size(0);
  const std::int64_t columns = x.size(1);
  const at::Tensor stacked =
      at::cat({x.mul(std::sqrt(w.c)), at::eye(columns, x.options())});
  const at::Tensor q = std::get<0>(at::linalg_qr(stacked, "reduced"));
  const at::Tensor top = q.narrow(0, 0, rows);
  const at::Tensor bottom = q.narrow(0, rows, columns);
  return x.mul(w.b / w.c).add_(at::mm(top, bottom.t()),
                               (w.a - w.b / w.c) / std::sqrt(w.c));
}

}  // namespace

std::optional<at::Tensor> qdwh(const at::Tensor& matrix) {
  const bool wide = matrix.size(0) < matrix.size(1);
  const at::Tensor tall = wide ? matrix.t() : matrix;
  const at::Tensor magnitude = tall.abs();
  // At least the largest singular value; in two roots, so that huge entries do
  // not overflow.
  const at::Tensor bound =
      magnitude.sum(0).max().sqrt().mul(magnitude.sum(1).max().sqrt());
  at::Tensor x = tall.div(bound);
  const double eps = matrix.scalar_type() == at::kDouble
                         ? std::numeric_limits<double>::epsilon()
                         : std::numeric_limits<float>::epsilon();
  // Below this share of the bound a singular value is rounding noise: the same
  // line that the SVD draws.
  double lower = eps * static_cast<double>(tall.size(0));
  while (1 - lower > 10 * eps) {
    const Weights w = weights(lower);
    x = step(x, w);
    const double l2 = lower * lower;
    lower = std::min(1.0, lower * (w.a + w.b * l2) / (1 + w.c * l2));
  }
  const at::Tensor gram = at::mm(x.t(), x);
  // Every direction above the line ends at 1 up to rounding.
  const double error =
      gram.sub(at::eye(gram.size(0), gram.options())).norm().item<double>();
  if (!(error < 1e-3)) return std::nullopt;
  // One Newton-Schulz step takes off what rounding left.
  x = x.mul(1.5).sub_(at::mm(x, gram), 0.5);
  return wide ? x.t() : x;
}

}  // namespace muonlab::linalg
