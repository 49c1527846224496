// Muown (see MuownRule): a weight is rows of unit directions times row gains.
#include <ATen/ATen.h>

#include <cmath>

#include "muonlab/optim/matrix_step.h"
#include "muonlab/optim/momentum.h"

namespace muonlab::optim {

namespace {

at::Tensor row_norms(const at::Tensor& x) {
  return at::linalg_vector_norm(x, 2, {1});
}

}  // namespace

void update(const MuownRule& r, MatrixStep& s) {
  const at::NoGradGuard no_grad;
  at::Tensor& gains = s.state.at("gain");
  at::Tensor& directions = s.state.at("direction");
  if (s.t == 1) {
    gains.copy_(row_norms(s.weight));
    directions.copy_(s.weight);
  }
  const at::Tensor norms = row_norms(directions);
  const at::Tensor unit = directions.div(norms.unsqueeze(1));
  const at::Tensor gain_gradient = s.gradient.mul(unit).sum(1);
  const at::Tensor tangent =
      s.gradient.sub(unit.mul(gain_gradient.unsqueeze(1)))
          .mul_(gains.div(norms).unsqueeze_(1));
  const at::Tensor step =
      momentum_direction(tangent, s.state.at("momentum"), MomentumForm::kEma,
                         r.momentum, r.nesterov, s.t);
  directions.sub_(polar_factor(step, r.polar),
                  s.lr * scale_factor(Scale::kMatchRms, s.weight.size(0),
                                      s.weight.size(1)));

  const auto t = static_cast<double>(s.t);
  at::Tensor& first = s.state.at("gain_first_moment");
  at::Tensor& second = s.state.at("gain_second_moment");
  first.mul_(r.beta1).add_(gain_gradient, 1 - r.beta1);
  second.mul_(r.beta2).addcmul_(gain_gradient, gain_gradient, 1 - r.beta2);
  gains.sub_(
      first.div(1 - std::pow(r.beta1, t))
          .div_(second.div(1 - std::pow(r.beta2, t)).sqrt_().add_(r.eps)),
      s.lr);
  gains.mul_(1 - s.lr * s.weight_decay);
  s.weight.copy_(
      directions.mul(gains.div(row_norms(directions)).unsqueeze_(1)));
}

}  // namespace muonlab::optim
