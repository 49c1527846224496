#include "muonlab/linalg/spectrum.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "muonlab/linalg/tensor_view.h"

namespace muonlab::linalg {

at::Tensor spectral_map(const at::Tensor& matrix,
                        const std::function<at::Tensor(const at::Tensor&)>& f) {
  const at::NoGradGuard no_grad;
  const auto [u, s, vh] = at::linalg_svd(matrix, /*full_matrices=*/false);
  const double eps = matrix.scalar_type() == at::kDouble
                         ? std::numeric_limits<double>::epsilon()
                         : std::numeric_limits<float>::epsilon();
  const auto size =
      static_cast<double>(std::max(matrix.size(0), matrix.size(1)));
  const auto rank = s.gt(s.max().mul(size * eps)).sum().item<std::int64_t>();
  if (rank == 0) return at::zeros_like(matrix);
  const at::Tensor values = f(s.narrow(0, 0, rank));
  return at::mm(u.narrow(1, 0, rank).mul(values), vh.narrow(0, 0, rank));
}

Spectrum spectrum_of(const at::Tensor& matrix) {
  const at::NoGradGuard no_grad;
  const std::vector<double> s =
      values_of(at::linalg_svdvals(matrix.to(at::kDouble)));
  Spectrum result;
  double sum = 0;
  for (const double v : s) sum += v * v;
  if (s.empty() || sum == 0) return result;
  result.largest = s.front();
  result.smallest = s.back();
  result.stable_rank = sum / (s.front() * s.front());
  double entropy = 0;
  for (const double v : s) {
    const double p = v * v / sum;
    if (p > 0) entropy -= p * std::log(p);
  }
  result.entropy =
      s.size() == 1 ? 1 : entropy / std::log(static_cast<double>(s.size()));
  return result;
}

double spectral_norm(const at::Tensor& matrix, int steps) {
  const at::NoGradGuard no_grad;
  // The row of the largest norm, so that the start is never orthogonal to all
  // that matters.
  const at::Tensor row_norms = at::linalg_vector_norm(matrix, 2, {1});
  at::Tensor v = matrix.select(0, row_norms.argmax().item<std::int64_t>());
  double norm = v.norm().item<double>();
  for (int step = 0; step < steps; ++step) {
    if (norm == 0) return 0;
    const at::Tensor u = at::mv(matrix, v.div(v.norm()));
    norm = u.norm().item<double>();
    if (norm == 0) return 0;
    v = at::mv(matrix.t(), u);
  }
  return norm;
}

double orthogonality_error(const at::Tensor& matrix) {
  const at::NoGradGuard no_grad;
  const at::Tensor x = matrix.size(0) > matrix.size(1) ? matrix.t() : matrix;
  const at::Tensor gram = at::mm(x, x.t());
  gram.diagonal().sub_(1);
  return gram.norm().item<double>() / std::sqrt(static_cast<double>(x.size(0)));
}

}  // namespace muonlab::linalg
