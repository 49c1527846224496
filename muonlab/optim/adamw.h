// AdamW on a list of parameters.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "muonlab/optim/rule.h"

namespace muonlab::optim {

/// The tensors of one parameter; `step` counts from 1 at the first update.
struct AdamWTensors {
  at::Tensor weight;         ///< changed
  at::Tensor gradient;       ///< read
  at::Tensor first_moment;   ///< changed; zero before the first step
  at::Tensor second_moment;  ///< changed; zero before the first step
  std::int64_t step = 1;
};

/// W <- (1 - lr*lambda) W, then W <- W - lr * mhat / (sqrt(vhat) + eps), by
/// LibTorch's fused kernel (one pass over memory). Float32 or float64.
void adamw_step(const std::vector<AdamWTensors>& parameters,
                const AdamWRule& rule, double lr, double weight_decay);

}  // namespace muonlab::optim
