// Rules that update element by element: Adam and AdamW, SGD, Lion, Signum.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "muonlab/optim/rule.h"

namespace muonlab::optim {

/// One parameter, contiguous, of float32 or float64.
struct ElementStep {
  at::Tensor weight;                        ///< changed
  at::Tensor gradient;                      ///< read
  std::map<std::string, at::Tensor> state;  ///< changed in place
  std::int64_t t = 1;                       ///< this update's number
  double gradient_scale = 1;                ///< multiplies the gradient
};

/// One step for all parameters of a group: float32 on the CPU in one pass over
/// memory by the kernels, everything else by LibTorch's operators.
void update(const AdamRule& rule, std::vector<ElementStep>& steps, double lr,
            double weight_decay);
void update(const SgdRule& rule, std::vector<ElementStep>& steps, double lr,
            double weight_decay);
void update(const LionRule& rule, std::vector<ElementStep>& steps, double lr,
            double weight_decay);
void update(const SignumRule& rule, std::vector<ElementStep>& steps, double lr,
            double weight_decay);

}  // namespace muonlab::optim
