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
  std::vector<std::size_t> copied;  // weights that are not dense in memory
  for (const AdamWTensors& p : parameters) {
    at::Tensor weight = p.weight.detach();  // shares memory, without autograd
    if (!weight.is_non_overlapping_and_dense()) {
      copied.push_back(weights.size());
      // The layout that zeros_like() gave the moments.
      weight = at::empty_like(weight).copy_(weight);
    }
    weights.push_back(weight);
    // The kernel walks all four tensors by one index, so layouts must agree.
    gradients.push_back(p.gradient.strides() == weight.strides()
                            ? p.gradient
                            : at::empty_like(weight).copy_(p.gradient));
    first.push_back(p.first_moment);
    second.push_back(p.second_moment);
    steps.push_back(at::full(
        {}, p.step, p.weight.options().dtype(at::kFloat).requires_grad(false)));
  }
  at::_fused_adamw_(weights, gradients, first, second, /*max_exp_avg_sqs=*/{},
                    steps, lr, rule.beta1, rule.beta2, weight_decay, rule.eps,
                    /*amsgrad=*/false, /*maximize=*/false);
  for (const std::size_t i : copied) {
    at::Tensor weight = parameters[i].weight.detach();
    weight.copy_(weights[i]);
  }
}

}  // namespace muonlab::optim
