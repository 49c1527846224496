#include "muonlab/optim/elementwise.h"

#include <ATen/ATen.h>

#include <cmath>

#include "muonlab/optim/decay.h"

namespace muonlab::optim {

namespace {

// LibTorch's kernels walk weight, gradient and moments by one index.
void fused_adam(const AdamRule& rule, std::vector<ElementStep>& steps,
                double lr, double weight_decay) {
  std::vector<at::Tensor> weights;
  std::vector<at::Tensor> gradients;
  std::vector<at::Tensor> first;
  std::vector<at::Tensor> second;
  std::vector<at::Tensor> counts;
  for (const ElementStep& s : steps) {
    weights.push_back(s.weight);
    gradients.push_back(s.gradient);
    first.push_back(s.state.at("first_moment"));
    second.push_back(s.state.at("second_moment"));
    counts.push_back(at::full({}, s.t, s.weight.options().dtype(at::kFloat)));
  }
  const std::vector<at::Tensor> unused;  // amsgrad's
  if (rule.decay == Decay::kL2) {
    at::_fused_adam_(weights, gradients, first, second, unused, counts, lr,
                     rule.beta1, rule.beta2, weight_decay, rule.eps,
                     /*amsgrad=*/false, /*maximize=*/false);
  } else {
    at::_fused_adamw_(weights, gradients, first, second, unused, counts, lr,
                      rule.beta1, rule.beta2, weight_decay, rule.eps,
                      /*amsgrad=*/false, /*maximize=*/false);
  }
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
    const at::Tensor gradient =
        with_l2(s.gradient, s.weight, decay, weight_decay);
    apply_update(s.weight, direction(gradient, s), 1, decay, lr, weight_decay);
  }
}

}  // namespace

void update(const AdamRule& r, std::vector<ElementStep>& steps, double lr,
            double weight_decay) {
  if (steps.empty()) return;
  const bool fused =
      !r.eps_inside && (r.decay == Decay::kDecoupled || r.decay == Decay::kL2);
  if (fused) {
    const at::NoGradGuard no_grad;
    return fused_adam(r, steps, lr, weight_decay);
  }
  each(steps, r.decay, lr, weight_decay,
       [&](const at::Tensor& g, ElementStep& s) {
         return adam_direction(r, g, s);
       });
}

void update(const SgdRule& r, std::vector<ElementStep>& steps, double lr,
            double weight_decay) {
  each(steps, r.decay, lr, weight_decay,
       [&](const at::Tensor& g, ElementStep& s) {
         at::Tensor& b = s.state.at("momentum");
         b.mul_(r.momentum).add_(g);
         return r.nesterov ? g.add(b, r.momentum) : b;
       });
}

void update(const LionRule& r, std::vector<ElementStep>& steps, double lr,
            double weight_decay) {
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
  each(steps, r.decay, lr, weight_decay,
       [&](const at::Tensor& g, ElementStep& s) {
         at::Tensor& m = s.state.at("momentum");
         m.mul_(r.momentum).add_(g, 1 - r.momentum);
         return m.sign();
       });
}

}  // namespace muonlab::optim
