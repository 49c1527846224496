#include "muonlab/linalg/polar.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "muonlab/core/error.h"
#include "muonlab/kernels/simd_level.h"
#include "muonlab/linalg/packed_polar.h"
#include "muonlab/linalg/polar_chooser.h"
#include "muonlab/linalg/polar_coefficients.h"
#include "muonlab/linalg/polar_internal.h"
#include "muonlab/linalg/qdwh_internal.h"
#include "muonlab/linalg/tensor_view.h"

namespace muonlab {

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// What norms are taken in, before products may be narrower.
at::ScalarType wide_dtype(const PolarOptions& options, at::ScalarType own) {
  switch (options.dtype) {
    case PolarDtype::kAuto:
      return own;
    case PolarDtype::kFloat64:
      return at::kDouble;
    case PolarDtype::kBFloat16:
      // torch.optim.Muon rounds first and divides in bfloat16.
      return options.method == PolarMethod::kNewtonSchulz &&
                     options.norm == PolarNorm::kFrobenius
                 ? at::kBFloat16
                 : at::kFloat;
    case PolarDtype::kFloat32:
    case PolarDtype::kBFloat16Master:
    case PolarDtype::kMixed:
      return at::kFloat;
  }
  return own;
}

at::Tensor iterated(const at::Tensor& matrix, const PolarOptions& options) {
  const bool tall = matrix.size(-2) > matrix.size(-1);
  const PolarTable& table =
      polar_coefficients(options.coefficients, options.steps);
  // x: (..., n, m), n <= m.
  linalg::PolarStart start =
      linalg::normalised(tall ? matrix.mT() : matrix, options, table.safety);
  if (options.dtype == PolarDtype::kBFloat16) {
    start.x = start.x.to(at::kBFloat16);
  }
  // Of the values before rounding: not what the narrow products would make.
  if (options.dtype == PolarDtype::kBFloat16 ||
      options.dtype == PolarDtype::kMixed) {
    start.gram.reset();
  }
  const at::Tensor x =
      options.method == PolarMethod::kGram
          ? linalg::gram_newton_schulz(std::move(start), table, options.steps,
                                       restart_steps(options),
                                       options.dtype == PolarDtype::kMixed)
          : linalg::newton_schulz(std::move(start), table, options.steps,
                                  options.dtype == PolarDtype::kBFloat16Master);
  return tall ? x.mT() : x;
}

at::Tensor packed_factor(const at::Tensor& matrix, const PolarOptions& options,
                         const kernels::PolarSchedule& schedule) {
  const std::int64_t rows = matrix.size(-2);
  const std::int64_t columns = matrix.size(-1);
  const at::Tensor batch =
      matrix.dim() == 2 ? matrix.unsqueeze(0) : matrix.flatten(0, -3);
  at::Tensor factor = at::empty(batch.sizes(), batch.options());
  const auto count = static_cast<std::size_t>(batch.size(0));
  std::vector<at::Tensor> arguments;  // keeps what the jobs read
  std::vector<kernels::MatrixView> views(count);
  std::vector<kernels::PolarJob> jobs(count);
  for (std::size_t i = 0; i < count; ++i) {
    at::Tensor one = batch[static_cast<std::int64_t>(i)];
    if (!schedule.normalise) {
      // The other norms, by LibTorch's operators.
      const double safety =
          polar_coefficients(options.coefficients, options.steps).safety;
      one = rows > columns
                ? linalg::normalised(one.mT(), options, safety).x.mT()
                : linalg::normalised(one, options, safety).x;
    }
    if (!linalg::has_matrix_memory(one)) one = one.contiguous();
    arguments.push_back(one);
    at::Tensor target = factor[static_cast<std::int64_t>(i)];
    const auto in = linalg::matrix_of(one);
    const auto out = linalg::mutable_matrix_of(target);
    views[i] = {in.data, in.stride};
    jobs[i].rows = in.rows;
    jobs[i].columns = in.columns;
    jobs[i].source = {kernels::fill_from_matrix, &views[i],
                      /*repeatable=*/true};
    jobs[i].out = out.data;
    jobs[i].out_stride = out.stride;
  }
  kernels::polar_factors(jobs, schedule, linalg::kernel_pool(),
                         kernels::active_simd_level());
  return factor.view(matrix.sizes());
}

at::Tensor svd_factor(const at::Tensor& matrix) {
  const auto [u, s, vh] = at::linalg_svd(matrix, /*full_matrices=*/false);
  const double eps = matrix.scalar_type() == at::kDouble
                         ? std::numeric_limits<double>::epsilon()
                         : std::numeric_limits<float>::epsilon();
  const auto size =
      static_cast<double>(std::max(matrix.size(-2), matrix.size(-1)));
  const at::Tensor kept = s.gt(s.amax(-1, /*keepdim=*/true).mul(size * eps))
                              .to(matrix.scalar_type());
  return at::matmul(u.mul(kept.unsqueeze(-2)), vh);
}

at::Tensor qdwh_factor(const at::Tensor& matrix) {
  if (matrix.dim() > 2) {
    std::vector<at::Tensor> factors;
    for (const at::Tensor& member : matrix.unbind()) {
      factors.push_back(qdwh_factor(member));
    }
    return at::stack(factors);
  }
  // A zero matrix has no direction to find.
  if (!matrix.any().item<bool>()) return at::zeros_like(matrix);
  const auto factor = linalg::qdwh(matrix);
  return factor ? *factor : svd_factor(matrix);
}

// LAPACK refuses NaN and infinity, or runs on with them.
at::Tensor exact(const at::Tensor& matrix, bool svd) {
  const at::Tensor finite =
      matrix.isfinite().all(-1, /*keepdim=*/true).all(-2, /*keepdim=*/true);
  const bool all_finite = finite.all().item<bool>();
  const at::Tensor argument =
      all_finite ? matrix : at::where(finite, matrix, at::zeros_like(matrix));
  const at::Tensor factor = svd ? svd_factor(argument) : qdwh_factor(argument);
  return all_finite ? factor : factor.masked_fill(finite.logical_not(), kNan);
}

}  // namespace

at::Tensor polar_factor(const at::Tensor& matrix, const PolarOptions& options) {
  MUONLAB_CHECK(matrix.dim() >= 2, "polar: got ", matrix.dim(),
                " dimensions, expected 2 or, for a batch, more");
  const auto type = matrix.scalar_type();
  MUONLAB_CHECK(type == at::kFloat || type == at::kDouble, "polar: got dtype ",
                c10::toString(type), ", expected float32 or float64");
  validate(options, "polar");
  if (matrix.numel() == 0) return matrix.clone();
  const at::NoGradGuard no_grad;
  if (options.method == PolarMethod::kAuto) {
    // Elsewhere than on the CPU in float32 nothing is measured.
    PolarOptions standard = options;
    standard.method = PolarMethod::kNewtonSchulz;
    const bool packed = type == at::kFloat && matrix.device().is_cpu();
    return polar_factor(
        matrix,
        packed ? linalg::chosen_polar(options, matrix.size(-2), matrix.size(-1))
               : standard);
  }
  if (type == at::kFloat && matrix.device().is_cpu()) {
    if (const auto schedule = linalg::packed_schedule(options)) {
      return packed_factor(matrix, options, *schedule);
    }
  }
  // One batch dimension at most: what batched products take.
  at::Tensor argument = matrix.to(wide_dtype(options, type));
  if (matrix.dim() > 3) argument = argument.flatten(0, -3);
  const bool iterates = options.method == PolarMethod::kNewtonSchulz ||
                        options.method == PolarMethod::kGram;
  const at::Tensor factor =
      iterates ? iterated(argument, options)
               : exact(argument, options.method == PolarMethod::kSvd);
  return (matrix.dim() > 3 ? factor.reshape(matrix.sizes()) : factor).to(type);
}

}  // namespace muonlab
