#include "muonlab/nn/norm.h"

#include <torch/types.h>

#include "muonlab/nn/functional.h"

namespace muonlab::nn {

RmsNorm::RmsNorm(std::int64_t features, double eps)
    : torch::nn::Module("RmsNorm"), eps_(eps) {
  weight_ = register_parameter("weight", torch::ones({features}));
}

at::Tensor RmsNorm::forward(const at::Tensor& x) const {
  return nn::rms_norm(x, weight_, eps_);
}

}  // namespace muonlab::nn
