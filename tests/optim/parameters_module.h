// A module that is nothing but its parameters.
#pragma once

#include <torch/nn/module.h>
#include <torch/types.h>

#include <string>
#include <utility>
#include <vector>

#include "muonlab/linalg/roles.h"

namespace muonlab::testing {

class Parameters : public torch::nn::Module, public DeclaresRoles {
 public:
  Parameters() : torch::nn::Module("Parameters") {}

  /// Registers a copy of `value`.
  at::Tensor add(const std::string& name, const at::Tensor& value,
                 Role role = Role::kMatrix, std::vector<RowBlock> blocks = {}) {
    declarations_.push_back({name, role, std::move(blocks)});
    return register_parameter(name, value.detach().clone());
  }
  [[nodiscard]] std::vector<ParameterDeclaration> declared_roles()
      const override {
    return declarations_;
  }

 private:
  std::vector<ParameterDeclaration> declarations_;
};

inline void set_gradient(at::Tensor parameter, const at::Tensor& gradient) {
  parameter.mutable_grad() = gradient.to(parameter.scalar_type());
}

}  // namespace muonlab::testing
