#include "muonlab/optim/direction.h"

#include <ATen/ATen.h>

#include <cmath>
#include <vector>

#include "muonlab/core/philox.h"
#include "muonlab/linalg/spectrum.h"
#include "muonlab/linalg/tensor_view.h"

namespace muonlab::optim {

namespace {

at::Tensor square_sum(const at::Tensor& x, std::int64_t dim) {
  return x.square().sum(dim, /*keepdim=*/true);
}

// Rows or columns over their 2-norm; zero ones stay zero.
at::Tensor unit_slices(const at::Tensor& x, std::int64_t dim) {
  const at::Tensor norm = at::linalg_vector_norm(x, 2, {dim}, true);
  return x.div(norm.masked_fill(norm.eq(0), 1));
}

// U diag((s/|s|_q)^(q-1)) V^T, the largest <D, O> in the unit ball of the
// Schatten-p norm.
at::Tensor schatten(const at::Tensor& x, double p) {
  return linalg::spectral_map(x, [p](const at::Tensor& s) {
    if (std::isinf(p)) return at::ones_like(s);
    if (p == 1) {
      at::Tensor first = at::zeros_like(s);
      first.narrow(0, 0, 1).fill_(1);
      return first;
    }
    const double q = p / (p - 1);
    // Relative to the largest value first, so that no power overflows.
    const at::Tensor relative = s.div(s.max());
    const at::Tensor norm = relative.pow(q).sum().pow(1 / q);
    return relative.div(norm).pow(q - 1);
  });
}

at::Tensor random_spectrum(const at::Tensor& x, const MatrixRule& rule,
                           const MatrixStep& step) {
  const core::Random random(static_cast<std::uint64_t>(rule.seed),
                            "spectrum/" + step.who);
  return linalg::spectral_map(x, [&](const at::Tensor& s) {
    std::vector<double> values(static_cast<std::size_t>(s.numel()));
    for (std::size_t i = 0; i < values.size(); ++i) {
      values[i] = 2 * random.uniform(static_cast<std::uint64_t>(step.t), i);
    }
    return linalg::tensor_of(values).to(s.options());
  });
}

}  // namespace

at::Tensor pre_transformed(const MatrixRule& rule, const at::Tensor& direction,
                           const at::Tensor& gradient, MatrixStep& step) {
  const double eps = rule.pre_eps;
  switch (rule.pre) {
    case PreTransform::kNone:
      return direction;
    case PreTransform::kSign:
      return direction.sign();
    case PreTransform::kRows:
      return direction.div(square_sum(direction, 1).add_(eps).sqrt_());
    case PreTransform::kColumns:
      return direction.div(square_sum(direction, 0).add_(eps).sqrt_());
    case PreTransform::kRowsColumns:
      return direction.div(square_sum(direction, 1).add_(eps).sqrt_())
          .div_(square_sum(direction, 0).add_(eps).sqrt_());
    case PreTransform::kSecondMoment: {
      at::Tensor& v = step.state.at("pre_second_moment");
      v.mul_(rule.pre_beta2).addcmul_(gradient, gradient, 1 - rule.pre_beta2);
      return direction.div(v.sqrt().add_(eps));
    }
  }
  return direction;
}

at::Tensor direction_of(const MatrixRule& rule, const at::Tensor& x,
                        const MatrixStep& step) {
  switch (rule.direction) {
    case Direction::kPolar:
      return polar_factor(x, rule.polar);
    case Direction::kPower:
      return linalg::spectral_map(
          x, [&](const at::Tensor& s) { return s.div(s.max()).pow(rule.rho); });
    case Direction::kSchatten:
      return schatten(x, rule.p);
    case Direction::kKyFan:
      return linalg::spectral_map(x, [&](const at::Tensor& s) {
        at::Tensor kept = at::zeros_like(s);
        kept.narrow(0, 0, std::min(rule.k, s.numel())).fill_(1);
        return kept;
      });
    case Direction::kRandomSpectrum:
      return random_spectrum(x, rule, step);
    case Direction::kSign:
      return x.sign();
    case Direction::kRows:
      return unit_slices(x, 1);
    case Direction::kColumns:
      return unit_slices(x, 0);
    case Direction::kFrobenius: {
      const at::Tensor norm = at::linalg_vector_norm(x);
      return x.div(norm.masked_fill(norm.eq(0), 1));
    }
    case Direction::kNone:
      return x;
  }
  return x;
}

at::Tensor post_transformed(const MatrixRule& rule, const at::Tensor& o,
                            MatrixStep& step) {
  const double b = rule.post_beta2;
  switch (rule.post) {
    case PostTransform::kNone:
      return o;
    case PostTransform::kSecondMoment: {
      at::Tensor& v = step.state.at("second_moment");
      v.mul_(b).addcmul_(o, o, 1 - b);
      return o.div(v.sqrt().add_(rule.post_eps));
    }
    case PostTransform::kRowSecondMoment: {
      at::Tensor& v = step.state.at("row_second_moment");
      v.mul_(b).add_(o.square().mean(1), 1 - b);
      const at::Tensor before = at::linalg_vector_norm(o);
      const at::Tensor scaled =
          o.div(v.sqrt().add_(rule.post_eps).unsqueeze(1));
      const at::Tensor after =
          at::linalg_vector_norm(scaled).add_(rule.post_eps);
      return scaled.mul(before.div(after));
    }
    case PostTransform::kUnitNorm: {
      const at::Tensor norm = at::linalg_vector_norm(o);
      const auto n = static_cast<double>(std::min(o.size(0), o.size(1)));
      return o.mul(
          norm.masked_fill(norm.eq(0), 1).reciprocal_().mul_(std::sqrt(n)));
    }
    case PostTransform::kSign:
      return o.sign();
  }
  return o;
}

}  // namespace muonlab::optim
