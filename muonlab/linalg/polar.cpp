#include "muonlab/linalg/polar.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "muonlab/core/error.h"
#include "muonlab/core/text.h"
#include "muonlab/linalg/matmul.h"

namespace muonlab {

namespace {

at::Tensor newton_schulz(const at::Tensor& matrix,
                         const PolarOptions& options) {
  const bool tall = matrix.size(0) > matrix.size(1);
  const Quintic q = quintic_coefficients(options.coefficients);
  // x: (n, m), n <= m. div copies, so the caller's matrix stays as it is.
  at::Tensor x = tall ? matrix.t() : matrix;
  at::Tensor norm = at::linalg_vector_norm(x);
  if (std::isinf(norm.item<double>())) {
    // The squares overflowed (entries beyond some 1e18 in float32): the norm
    // would turn the whole update into zeros.
    x = at::div(x, x.abs().max());
    norm = at::linalg_vector_norm(x);
  }
  x = at::div(x, norm.add(options.eps));
  for (int step = 0; step < options.steps; ++step) {
    const at::Tensor a = linalg::matmul(x, x.t());
    const at::Tensor z = linalg::matmul(a, a).mul_(q.c).add_(a, q.b);
    x = linalg::matmul(z, x).add_(x, q.a);
  }
  return tall ? x.t() : x;
}

at::Tensor svd_factor(const at::Tensor& matrix) {
  const auto [u, s, vh] = at::linalg_svd(matrix, /*full_matrices=*/false);
  const double eps = matrix.scalar_type() == at::kDouble
                         ? std::numeric_limits<double>::epsilon()
                         : std::numeric_limits<float>::epsilon();
  const auto size =
      static_cast<double>(std::max(matrix.size(0), matrix.size(1)));
  const at::Tensor kept =
      s.gt(s.max().mul(size * eps)).to(matrix.scalar_type());
  return at::mm(u.mul(kept), vh);
}

}  // namespace

Quintic quintic_coefficients(std::string_view name) {
  if (name == "keller") return {3.4445, -4.7750, 2.0315};
  if (name == "taylor") return {15.0 / 8, -5.0 / 4, 3.0 / 8};
  throw Error(ErrorKind::kInvalidArgument,
              concat("polar: no coefficient set '", name, "'",
                     core::suggestion(name, quintic_names())));
}

const std::vector<std::string>& quintic_names() {
  static const std::vector<std::string> kNames = {"keller", "taylor"};
  return kNames;
}

void validate(const PolarOptions& options, std::string_view who) {
  MUONLAB_CHECK(options.steps >= 1 && options.steps <= 100, who,
                ": polar steps: got ", options.steps, ", expected 1 to 100");
  MUONLAB_CHECK(options.eps > 0 && options.eps < 1, who, ": polar eps: got ",
                options.eps, ", expected more than 0 and less than 1");
  (void)quintic_coefficients(options.coefficients);
}

at::Tensor polar_factor(const at::Tensor& matrix, const PolarOptions& options) {
  MUONLAB_CHECK(matrix.dim() == 2, "polar: got ", matrix.dim(),
                " dimensions, expected 2");
  const auto type = matrix.scalar_type();
  MUONLAB_CHECK(type == at::kFloat || type == at::kDouble, "polar: got dtype ",
                c10::toString(type), ", expected float32 or float64");
  validate(options, "polar");
  if (matrix.numel() == 0) return matrix.clone();
  const at::NoGradGuard no_grad;
  return options.method == PolarMethod::kSvd ? svd_factor(matrix)
                                             : newton_schulz(matrix, options);
}

}  // namespace muonlab
