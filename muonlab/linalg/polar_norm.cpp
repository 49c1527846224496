// Division by a bound of the singular values, without over- or underflow.
#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "muonlab/linalg/matmul.h"
#include "muonlab/linalg/polar_internal.h"

namespace muonlab::linalg {

namespace {

// Squares of entries near such a norm neither overflow nor lose digits, in
// float32 and bfloat16 either.
constexpr double kSmallSafe = 0x1p-40;
constexpr double kLargeSafe = 0x1p60;
constexpr double kPowerSafety = 1.02;

double smallest_normal(const at::Tensor& x) {
  return x.scalar_type() == at::kDouble
             ? std::numeric_limits<double>::min()
             : static_cast<double>(std::numeric_limits<float>::min());
}

// f (..., 1, 1), a power of two with max |f x| in [0.5, 1), or as near to it as
// normal numbers come; 1 for zero. Multiplying by it rounds nothing.
at::Tensor power_of_two(const at::Tensor& x) {
  const at::Tensor largest =
      at::linalg_vector_norm(x, std::numeric_limits<double>::infinity(),
                             {-2, -1}, /*keepdim=*/true)
          .to(x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat);
  const at::Tensor mantissa = std::get<0>(at::frexp(largest));
  const double least = smallest_normal(x);
  // The quotient of two numbers with one mantissa is exact.
  return mantissa.div(largest)
      .clamp(least, 1 / least)
      .masked_fill(largest.eq(0), 1);
}

// A zero matrix over it stays zero, whatever eps is in this dtype.
at::Tensor guarded(const at::Tensor& norm, const at::Tensor& eps,
                   PolarEps mode) {
  const at::Tensor divisor =
      mode == PolarEps::kAdd ? norm.add(eps) : norm.maximum(eps);
  return divisor.clamp_min(smallest_normal(divisor));
}

// As K. Jordan and torch.optim.Muon write it, bit for bit.
at::Tensor over_frobenius(const at::Tensor& x, at::Tensor norm,
                          const PolarOptions& options, double safety) {
  if (safety != 1) norm = norm.mul(safety);
  // div copies, so the caller's matrix stays as it is.
  return at::div(x, options.eps_mode == PolarEps::kAdd
                        ? norm.add(options.eps)
                        : norm.clamp_min(options.eps));
}

// (..., 1, 1)
at::Tensor frobenius(const at::Tensor& x) {
  return at::linalg_vector_norm(x, 2, {-2, -1}, /*keepdim=*/true);
}

// The largest eigenvalue of a positive semidefinite (..., n, n), from below.
at::Tensor largest_eigenvalue(const at::Tensor& gram, int steps) {
  // The rows of the largest norms: one alone may happen to be nearly orthogonal
  // to the direction sought, eight never were.
  const std::int64_t n = gram.size(-1);
  const std::int64_t starts = std::min<std::int64_t>(n, 8);
  const at::Tensor best =
      std::get<1>(at::linalg_vector_norm(gram, 2, {-1}).topk(starts));
  std::vector<std::int64_t> shape(gram.sizes().begin(), gram.sizes().end());
  shape[shape.size() - 2] = starts;
  at::Tensor v =
      gram.gather(-2, best.unsqueeze(-1).expand(shape)).mT();  // (..., n, 8)
  const double least = smallest_normal(gram);
  at::Tensor norms = at::linalg_vector_norm(v, 2, {-2}, /*keepdim=*/true);
  for (int step = 0; step < steps; ++step) {
    v = linalg::matmul(gram, v.div(norms.clamp_min(least)));
    norms = at::linalg_vector_norm(v, 2, {-2}, /*keepdim=*/true);
  }
  return norms.amax(-1, /*keepdim=*/true);
}

}  // namespace

PolarStart normalised(const at::Tensor& x, const PolarOptions& options,
                      double safety) {
  if (options.norm == PolarNorm::kFrobenius && x.dim() == 2 &&
      x.device().is_cpu()) {
    const at::Tensor norm = at::linalg_vector_norm(x);
    const auto value = norm.item<double>();
    if (value >= kSmallSafe && value <= kLargeSafe) {
      return {over_frobenius(x, norm, options, safety), {}};
    }
  }
  // On a GPU reading the norm would stop the queue: there all are scaled.
  const at::Tensor factor = power_of_two(x);
  const at::Tensor scaled = x.mul(factor.to(x.scalar_type()));
  const at::Tensor eps = factor.mul(options.eps);
  if (options.norm == PolarNorm::kFrobenius) {
    const at::Tensor norm =
        frobenius(scaled).to(factor.scalar_type()).mul_(safety);
    return {
        scaled.div(guarded(norm, eps, options.eps_mode).to(x.scalar_type())),
        {}};
  }
  const at::Tensor gram = linalg::matmul(scaled, scaled.mT());
  at::Tensor norm;
  if (options.norm == PolarNorm::kSchatten4) {
    norm = frobenius(gram).sqrt_();
  } else if (options.norm == PolarNorm::kPower) {
    norm = largest_eigenvalue(gram, options.power_steps)
               .sqrt_()
               .mul_(kPowerSafety);
  } else {
    norm = gram.abs().sum(-1, /*keepdim=*/true).sqrt_();  // (..., n, 1)
  }
  const at::Tensor divisor = guarded(norm.mul(safety), eps, options.eps_mode);
  // Twice, since the square of a tiny divisor would be zero.
  return {scaled.div(divisor), gram.div(divisor).div_(divisor.mT())};
}

}  // namespace muonlab::linalg
