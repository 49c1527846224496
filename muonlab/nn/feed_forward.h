// The feed-forward half of a block.
#pragma once

#include <torch/nn/module.h>

#include <string>
#include <vector>

#include "muonlab/linalg/roles.h"
#include "muonlab/nn/model_config.h"

namespace muonlab::nn {

/// swiglu, geglu: down(f(gate x) * up x), parameters gate_up (2 hidden, width)
/// with rows [gate; up] declared as two blocks, and down (width, hidden); f is
/// silu or gelu (its tanh form).
/// silu, gelu, relu2: down(f(up x)), parameters up (hidden, width) and down;
/// relu2 is max(x, 0)^2 (So et al., arXiv 2109.08668).
class FeedForward : public torch::nn::Module, public DeclaresRoles {
 public:
  explicit FeedForward(const ModelConfig& config);
  /// x (..., width) -> same shape. `dropout`: the share of values set to zero
  /// after the activation, and of the result.
  [[nodiscard]] at::Tensor forward(const at::Tensor& x,
                                   double dropout = 0) const;
  [[nodiscard]] std::vector<ParameterDeclaration> declared_roles()
      const override;

  [[nodiscard]] const at::Tensor& up() const { return up_; }
  [[nodiscard]] const at::Tensor& down() const { return down_; }

 private:
  [[nodiscard]] at::Tensor activated(const at::Tensor& inner) const;

  std::string activation_;
  bool gated_;
  std::int64_t hidden_;
  at::Tensor up_;
  at::Tensor down_;
};

}  // namespace muonlab::nn
