#include "muonlab/optim/elementwise.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "muonlab/kernels/elementwise_list.h"
#include "muonlab/linalg/packed_polar.h"
#include "muonlab/linalg/tensor_view.h"
#include "muonlab/optim/coupling.h"
#include "muonlab/optim/decay.h"

namespace muonlab::optim {

namespace {

constexpr float rounded(double x) { return static_cast<float>(x); }

struct Group {
  Decay decay;
  double lr;
  double weight_decay;
};

kernels::GradientTerm gradient_term(const Group& group, const ElementStep& s) {
  const double l2 = group.decay == Decay::kL2 ? group.weight_decay : 0;
  return {rounded(s.gradient_scale), rounded(l2)};
}

kernels::Coupling coupling_of(const Group& group, double scale = 1) {
  return coupling(group.decay, scale, group.lr, group.weight_decay);
}

// In float64, before the one rounding.
double coupling_step(const Group& group) {
  const double after =
      group.decay == Decay::kAfter ? 1 - group.lr * group.weight_decay : 1;
  return group.lr * after;
}

bool packable(const at::Tensor& tensor) {
  return tensor.scalar_type() == at::kFloat && tensor.device().is_cpu() &&
         tensor.is_contiguous();
}

bool packable(const std::vector<ElementStep>& steps) {
  return std::all_of(steps.begin(), steps.end(), [](const ElementStep& s) {
    return packable(s.weight) && packable(s.gradient) &&
           std::all_of(s.state.begin(), s.state.end(),
                       [](const auto& slot) { return packable(slot.second); });
  });
}

float* values(at::Tensor& tensor) { return linalg::mutable_floats_of(tensor); }

kernels::AdamScalars adam_scalars(const AdamRule& r, const Group& group,
                                  const ElementStep& s) {
  const auto t = static_cast<double>(s.t);
  const double correction1 = 1 - std::pow(r.beta1, t);
  const double root = std::sqrt(1 - std::pow(r.beta2, t));
  kernels::AdamScalars scalars;
  scalars.beta1 = rounded(r.beta1);
  scalars.one_minus_beta1 = rounded(1 - r.beta1);
  scalars.beta2 = rounded(r.beta2);
  scalars.one_minus_beta2 = rounded(1 - r.beta2);
  scalars.root_correction = r.eps_inside ? 1 : rounded(root);
  scalars.eps = rounded(r.eps);
  scalars.gradient = gradient_term(group, s);
  scalars.coupling = coupling_of(group);
  // Bias correction lengthens the step, not the decay, which under kScaled
  // goes with the scale.
  scalars.coupling.step =
      rounded(coupling_step(group) * (r.eps_inside ? root : 1) / correction1);
  return scalars;
}

void fused(const AdamRule& r, const Group& group,
           std::vector<ElementStep>& steps) {
  std::vector<kernels::AdamTask> tasks;
  for (ElementStep& s : steps) {
    tasks.push_back({values(s.weight), linalg::floats_of(s.gradient),
                     values(s.state.at("first_moment")),
                     values(s.state.at("second_moment")),
                     static_cast<std::size_t>(s.weight.numel()),
                     adam_scalars(r, group, s)});
  }
  kernels::adam_list(tasks, linalg::kernel_pool());
}

template <typename Scalars>
kernels::StepTask<Scalars> momentum_task(ElementStep& s,
                                         const Scalars& scalars) {
  return {values(s.weight), linalg::floats_of(s.gradient),
          values(s.state.at("momentum")),
          static_cast<std::size_t>(s.weight.numel()), scalars};
}

void fused(const SgdRule& r, const Group& group,
           std::vector<ElementStep>& steps) {
  std::vector<kernels::SgdTask> tasks;
  for (ElementStep& s : steps) {
    tasks.push_back(momentum_task(
        s, kernels::SgdScalars{rounded(r.momentum), r.nesterov,
                               gradient_term(group, s), coupling_of(group)}));
  }
  kernels::sgd_list(tasks, linalg::kernel_pool());
}

void fused(const LionRule& r, const Group& group,
           std::vector<ElementStep>& steps) {
  std::vector<kernels::LionTask> tasks;
  for (ElementStep& s : steps) {
    tasks.push_back(momentum_task(
        s, kernels::LionScalars{rounded(r.beta1), rounded(1 - r.beta1),
                                rounded(r.beta2), rounded(1 - r.beta2),
                                gradient_term(group, s), coupling_of(group)}));
  }
  kernels::lion_list(tasks, linalg::kernel_pool());
}

void fused(const SignumRule& r, const Group& group,
           std::vector<ElementStep>& steps) {
  std::vector<kernels::SignumTask> tasks;
  for (ElementStep& s : steps) {
    tasks.push_back(momentum_task(
        s,
        kernels::SignumScalars{rounded(r.momentum), rounded(1 - r.momentum),
                               gradient_term(group, s), coupling_of(group)}));
  }
  kernels::signum_list(tasks, linalg::kernel_pool());
}

at::Tensor adam_direction(const AdamRule& r, const at::Tensor& gradient,
                          ElementStep& s) {
  at::Tensor& m = s.state.at("first_moment");
  at::Tensor& v = s.state.at("second_moment");
  m.mul_(r.beta1).add_(gradient, 1 - r.beta1);
  v.mul_(r.beta2).addcmul_(gradient, gradient, 1 - r.beta2);
  const auto t = static_cast<double>(s.t);
  const double correction1 = 1 - std::pow(r.beta1, t);
  const double correction2 = 1 - std::pow(r.beta2, t);
  if (r.eps_inside) {
    return m.div(v.sqrt().add_(r.eps))
        .mul_(std::sqrt(correction2) / correction1);
  }
  return m.div(correction1).div_(v.div(correction2).sqrt_().add_(r.eps));
}

// The frame of every rule that is not fused: `direction` turns the gradient
// (with its L2 term) and the state into U.
template <typename Direction>
void each(std::vector<ElementStep>& steps, Decay decay, double lr,
          double weight_decay, Direction direction) {
  const at::NoGradGuard no_grad;
  for (ElementStep& s : steps) {
    const at::Tensor scaled =
        s.gradient_scale == 1 ? s.gradient : s.gradient.mul(s.gradient_scale);
    const at::Tensor gradient = with_l2(scaled, s.weight, decay, weight_decay);
    apply_update(s.weight, direction(gradient, s), 1, decay, lr, weight_decay);
  }
}

}  // namespace

void update(const AdamRule& r, std::vector<ElementStep>& steps, double lr,
            double weight_decay) {
  if (packable(steps)) return fused(r, {r.decay, lr, weight_decay}, steps);
  each(steps, r.decay, lr, weight_decay,
       [&](const at::Tensor& g, ElementStep& s) {
         return adam_direction(r, g, s);
       });
}

void update(const SgdRule& r, std::vector<ElementStep>& steps, double lr,
            double weight_decay) {
  if (packable(steps)) return fused(r, {r.decay, lr, weight_decay}, steps);
  each(steps, r.decay, lr, weight_decay,
       [&](const at::Tensor& g, ElementStep& s) {
         at::Tensor& b = s.state.at("momentum");
         b.mul_(r.momentum).add_(g);
         return r.nesterov ? g.add(b, r.momentum) : b;
       });
}

void update(const LionRule& r, std::vector<ElementStep>& steps, double lr,
            double weight_decay) {
  if (packable(steps)) return fused(r, {r.decay, lr, weight_decay}, steps);
  each(steps, r.decay, lr, weight_decay,
       [&](const at::Tensor& g, ElementStep& s) {
         at::Tensor& m = s.state.at("momentum");
         const at::Tensor u = m.mul(r.beta1).add_(g, 1 - r.beta1).sign_();
         m.mul_(r.beta2).add_(g, 1 - r.beta2);
         return u;
       });
}

void update(const SignumRule& r, std::vector<ElementStep>& steps, double lr,
            double weight_decay) {
  if (packable(steps)) return fused(r, {r.decay, lr, weight_decay}, steps);
  each(steps, r.decay, lr, weight_decay,
       [&](const at::Tensor& g, ElementStep& s) {
         at::Tensor& m = s.state.at("momentum");
         m.mul_(r.momentum).add_(g, 1 - r.momentum);
         return m.sign();
       });
}

}  // namespace muonlab::optim
