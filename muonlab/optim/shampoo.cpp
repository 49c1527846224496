// Shampoo with a choice of grafting (see ShampooRule).
#include <ATen/ATen.h>

#include <cmath>

#include "muonlab/optim/matrix_step.h"

namespace muonlab::optim {

namespace {

constexpr double kGraftEps = 1e-8;

// (A + eps a_max I)^-exponent of a symmetric positive semi-definite A; zero for
// a zero matrix.
at::Tensor inverse_root(const at::Tensor& a, double exponent, double eps) {
  const auto [values, vectors] = at::linalg_eigh(a);
  const double largest = values.max().item<double>();
  if (!(largest > 0)) return at::zeros_like(a);
  const at::Tensor roots =
      values.clamp_min(0).add_(eps * largest).pow_(-exponent);
  return at::mm(vectors.mul(roots), vectors.t());
}

at::Tensor of_length(const at::Tensor& update, const at::Tensor& model) {
  const double length = at::linalg_vector_norm(update).item<double>();
  if (length == 0) return update;
  return update.mul(at::linalg_vector_norm(model).item<double>() / length);
}

}  // namespace

void update(const ShampooRule& r, MatrixStep& s) {
  const at::NoGradGuard no_grad;
  const at::Tensor& g = s.gradient;
  const auto t = static_cast<double>(s.t);
  at::Tensor& m = s.state.at("momentum");
  m.mul_(r.beta1).add_(g, 1 - r.beta1);
  const at::Tensor corrected = m.div(1 - std::pow(r.beta1, t));
  const double correction = 1 - std::pow(r.beta2, t);

  const auto left = s.state.find("left");
  const auto right = s.state.find("right");
  const bool both = left != s.state.end() && right != s.state.end();
  const double exponent = both ? r.exponent : 2 * r.exponent;
  const bool fresh = (s.t - 1) % r.refresh == 0;
  const auto refresh = [&](at::Tensor& factor, const at::Tensor& product,
                           const char* root) {
    factor.mul_(r.beta2).add_(product, 1 - r.beta2);
    if (fresh) {
      s.state.at(root).copy_(
          inverse_root(factor.div(correction), exponent, r.eps));
    }
  };
  at::Tensor update = corrected;
  if (left != s.state.end()) {
    refresh(left->second, at::mm(g, g.t()), "left_root");
    update = at::mm(s.state.at("left_root"), update);
  }
  if (right != s.state.end()) {
    refresh(right->second, at::mm(g.t(), g), "right_root");
    update = at::mm(update, s.state.at("right_root"));
  }

  if (r.graft == Graft::kSgd) update = of_length(update, corrected);
  if (r.graft == Graft::kAdam) {
    at::Tensor& v = s.state.at("second_moment");
    v.mul_(r.beta2).addcmul_(g, g, 1 - r.beta2);
    update = of_length(
        update, corrected.div(v.div(correction).sqrt_().add_(kGraftEps)));
  }
  if (s.weight_decay != 0) s.weight.mul_(1 - s.lr * s.weight_decay);
  s.weight.add_(update, -s.lr);
}

}  // namespace muonlab::optim
