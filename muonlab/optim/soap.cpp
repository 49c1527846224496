// SOAP in the order of its official code (see SoapRule).
#include <ATen/ATen.h>

#include <cmath>

#include "muonlab/optim/matrix_step.h"

namespace muonlab::optim {

namespace {

// One side of the matrix: its factor, its basis, and which dimension of a
// matrix it turns. A side that is too long has neither and turns nothing.
struct Side {
  at::Tensor factor;
  at::Tensor basis;
  std::int64_t dim = 0;

  [[nodiscard]] bool rotates() const { return factor.defined(); }
};

Side side_of(MatrixStep& s, const char* factor, const char* basis,
             std::int64_t dim) {
  const auto found = s.state.find(factor);
  if (found == s.state.end()) return {.factor = {}, .basis = {}, .dim = dim};
  return {.factor = found->second, .basis = s.state.at(basis), .dim = dim};
}

at::Tensor project(const at::Tensor& x, const Side& left, const Side& right) {
  at::Tensor y = x;
  if (left.rotates()) y = at::mm(left.basis.t(), y);
  if (right.rotates()) y = at::mm(y, right.basis);
  return y;
}

at::Tensor project_back(const at::Tensor& x, const Side& left,
                        const Side& right) {
  at::Tensor y = x;
  if (left.rotates()) y = at::mm(left.basis, y);
  if (right.rotates()) y = at::mm(y, right.basis.t());
  return y;
}

void accumulate(Side& side, const at::Tensor& g, double beta) {
  if (!side.rotates()) return;
  const at::Tensor product =
      side.dim == 0 ? at::mm(g, g.t()) : at::mm(g.t(), g);
  side.factor.lerp_(product, 1 - beta);
}

// Eigenvectors, those of the largest eigenvalue first.
void first_basis(Side& side) {
  if (!side.rotates()) return;
  side.basis.copy_(std::get<1>(at::linalg_eigh(side.factor)).flip({1}));
}

// One step of orthogonal iteration; the second moment follows the new order.
void refresh_basis(Side& side, at::Tensor& second_moment) {
  if (!side.rotates()) return;
  const at::Tensor turned = at::mm(side.factor, side.basis);
  const at::Tensor estimates = side.basis.mul(turned).sum(0);
  const at::Tensor order = std::get<1>(
      at::sort(estimates, /*stable=*/true, /*dim=*/0, /*descending=*/true));
  second_moment.copy_(second_moment.index_select(side.dim, order));
  side.basis.copy_(
      std::get<0>(at::linalg_qr(turned.index_select(1, order), "reduced")));
}

}  // namespace

void update(const SoapRule& r, MatrixStep& s) {
  const at::NoGradGuard no_grad;
  const at::Tensor& g = s.gradient;
  const double factor_beta = r.shampoo_beta < 0 ? r.beta2 : r.shampoo_beta;
  Side left = side_of(s, "left", "left_basis", 0);
  Side right = side_of(s, "right", "right_basis", 1);
  if (s.t == 1) {
    accumulate(left, g, factor_beta);
    accumulate(right, g, factor_beta);
    first_basis(left);
    first_basis(right);
    return;  // the first gradient only makes the basis
  }
  const std::int64_t k = s.t - 1;
  const at::Tensor turned = project(g, left, right);
  at::Tensor& m = s.state.at("first_moment");
  at::Tensor& v = s.state.at("second_moment");
  m.mul_(r.beta1).add_(turned, 1 - r.beta1);
  v.mul_(r.beta2).addcmul_(turned, turned, 1 - r.beta2);
  double rate = s.lr;
  if (r.correct_bias) {
    const auto count = static_cast<double>(k);
    rate *= std::sqrt(1 - std::pow(r.beta2, count)) /
            (1 - std::pow(r.beta1, count));
  }
  s.weight.add_(project_back(m.div(v.sqrt().add_(r.eps)), left, right), -rate);
  if (s.weight_decay != 0) s.weight.mul_(1 - s.lr * s.weight_decay);

  // After the step, so that a gradient never meets a basis made from it.
  accumulate(left, g, factor_beta);
  accumulate(right, g, factor_beta);
  if (k % r.refresh != 0) return;
  const at::Tensor plain = project_back(m, left, right);
  refresh_basis(left, v);
  refresh_basis(right, v);
  m.copy_(project(plain, left, right));
}

}  // namespace muonlab::optim
