#include "muonlab/optim/adamw.h"

#include <ATen/ATen.h>

namespace muonlab::optim {

void adamw_step(const std::vector<AdamWTensors>& parameters,
                const AdamWRule& rule, double lr, double weight_decay) {
  if (parameters.empty()) return;
  const at::NoGradGuard no_grad;
  std::vector<at::Tensor> weights;
  std::vector<at::Tensor> gradients;
  std::vector<at::Tensor> first;
  std::vector<at::Tensor> second;
  std::vector<at::Tensor> steps;
  for (const AdamWTensors& p : parameters) {
    weights.push_back(p.weight.detach());  // shares memory, leaves autograd out
    gradients.push_back(p.gradient);
    first.push_back(p.first_moment);
    second.push_back(p.second_moment);
    steps.push_back(at::full(
        {}, p.step, p.weight.options().dtype(at::kFloat).requires_grad(false)));
  }
  at::_fused_adamw_(weights, gradients, first, second, /*max_exp_avg_sqs=*/{},
                    steps, lr, rule.beta1, rule.beta2, weight_decay, rule.eps,
                    /*amsgrad=*/false, /*maximize=*/false);
}

}  // namespace muonlab::optim
