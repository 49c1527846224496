// RMSNorm with a learned gain.
#pragma once

#include <torch/nn/module.h>

#include <vector>

#include "muonlab/linalg/roles.h"

namespace muonlab::nn {

class RmsNorm : public torch::nn::Module, public DeclaresRoles {
 public:
  RmsNorm(std::int64_t features, double eps);
  [[nodiscard]] at::Tensor forward(const at::Tensor& x) const;
  [[nodiscard]] const at::Tensor& weight() const { return weight_; }
  [[nodiscard]] std::vector<ParameterDeclaration> declared_roles()
      const override {
    return {{"weight", Role::kGain, {}}};
  }

 private:
  at::Tensor weight_;
  double eps_;
};

}  // namespace muonlab::nn
