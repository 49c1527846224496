#include "muonlab/linalg/polar.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "muonlab/core/error.h"
#include "muonlab/core/text.h"
#include "muonlab/kernels/simd_level.h"
#include "muonlab/linalg/matmul.h"
#include "muonlab/linalg/packed_polar.h"
#include "muonlab/linalg/qdwh_internal.h"
#include "muonlab/linalg/tensor_view.h"

namespace muonlab {

namespace {

// bfloat16 products as torch.optim.Muon orders them: scale and sum happen
// inside the product, before the one rounding.
at::Tensor quintic_step(const at::Tensor& x, const Quintic& q) {
  if (x.scalar_type() == at::kBFloat16) {
    const at::Tensor a = at::mm(x, x.t());
    const at::Tensor z = at::addmm(a, a, a, q.b, q.c);
    return at::addmm(x, z, x, q.a);
  }
  const at::Tensor a = linalg::matmul(x, x.t());
  const at::Tensor z = linalg::matmul(a, a).mul_(q.c).add_(a, q.b);
  return linalg::matmul(z, x).add_(x, q.a);
}

at::Tensor normalised(at::Tensor x, const PolarOptions& options,
                      double safety) {
  at::Tensor norm = at::linalg_vector_norm(x);
  if (std::isinf(norm.item<double>())) {
    // The squares overflowed (entries beyond some 1e18 in float32): the norm
    // would turn the whole update into zeros.
    x = at::div(x, x.abs().max());
    norm = at::linalg_vector_norm(x);
  }
  if (safety != 1) norm = norm.mul(safety);
  // div copies, so the caller's matrix stays as it is.
  return at::div(x, options.eps_mode == PolarEps::kAdd
                        ? norm.add(options.eps)
                        : norm.clamp_min(options.eps));
}

at::Tensor newton_schulz(const at::Tensor& matrix,
                         const PolarOptions& options) {
  const bool tall = matrix.size(0) > matrix.size(1);
  const PolarTable& table = polar_table(options.coefficients);
  // x: (n, m), n <= m.
  at::Tensor x = normalised(tall ? matrix.t() : matrix, options, table.safety);
  for (std::size_t step = 0; step < static_cast<std::size_t>(options.steps);
       ++step) {
    x = quintic_step(x, table.rows[std::min(step, table.rows.size() - 1)]);
  }
  return tall ? x.t() : x;
}

at::Tensor packed_factor(const at::Tensor& matrix,
                         const kernels::PolarSchedule& schedule) {
  at::Tensor factor = at::empty(matrix.sizes(), matrix.options());
  const auto in = linalg::matrix_of(matrix);
  const auto out = linalg::mutable_matrix_of(factor);
  kernels::MatrixView view{in.data, in.stride};
  kernels::PolarJob job;
  job.rows = in.rows;
  job.columns = in.columns;
  job.source = {kernels::fill_from_matrix, &view};
  job.out = out.data;
  job.out_stride = out.stride;
  kernels::polar_factors({&job, 1}, schedule, linalg::kernel_pool(),
                         kernels::active_simd_level());
  return factor;
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

at::ScalarType dtype_of(PolarDtype wish, at::ScalarType own) {
  switch (wish) {
    case PolarDtype::kAuto:
      return own;
    case PolarDtype::kFloat64:
      return at::kDouble;
    case PolarDtype::kFloat32:
      return at::kFloat;
    case PolarDtype::kBFloat16:
      return at::kBFloat16;
  }
  return own;
}

}  // namespace

void validate(const PolarOptions& options, std::string_view who) {
  MUONLAB_CHECK(options.steps >= 1 && options.steps <= 100, who,
                ": polar steps: got ", options.steps, ", expected 1 to 100");
  MUONLAB_CHECK(options.eps > 0 && options.eps < 1, who, ": polar eps: got ",
                options.eps, ", expected more than 0 and less than 1");
  (void)polar_table(options.coefficients);
  MUONLAB_CHECK(options.dtype != PolarDtype::kBFloat16 ||
                    options.method == PolarMethod::kNewtonSchulz,
                who, ": polar dtype: got bfloat16, which only the ",
                "newton-schulz method takes");
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
  if (type == at::kFloat && matrix.device().is_cpu()) {
    if (const auto schedule = linalg::packed_schedule(options)) {
      return packed_factor(
          linalg::has_matrix_memory(matrix) ? matrix : matrix.contiguous(),
          *schedule);
    }
  }
  const at::Tensor argument = matrix.to(dtype_of(options.dtype, type));
  if (options.method == PolarMethod::kNewtonSchulz) {
    return newton_schulz(argument, options).to(type);
  }
  if (options.method == PolarMethod::kSvd) {
    return svd_factor(argument).to(type);
  }
  // A zero matrix has no direction to find.
  if (!argument.any().item<bool>()) return at::zeros_like(matrix);
  const auto factor = linalg::qdwh(argument);
  return (factor ? *factor : svd_factor(argument)).to(type);
}

}  // namespace muonlab
