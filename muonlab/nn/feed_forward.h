// The feed-forward half of a block.
#pragma once

#include <torch/nn/module.h>

#include <vector>

#include "muonlab/linalg/roles.h"
#include "muonlab/nn/model_config.h"

namespace muonlab::nn {

/// swiglu: down(silu(gate x) * up x), parameters gate_up (2 hidden, width) with
/// rows [gate; up] declared as two blocks, and down (width, hidden).
/// silu: down(silu(up x)), parameters up (hidden, width) and down.
class FeedForward : public torch::nn::Module, public DeclaresRoles {
 public:
  explicit FeedForward(const ModelConfig& config);
  /// x (..., width) -> same shape.
  [[nodiscard]] at::Tensor forward(const at::Tensor& x) const;
  [[nodiscard]] std::vector<ParameterDeclaration> declared_roles()
      const override;

 private:
  bool gated_;
  std::int64_t hidden_;
  at::Tensor up_;
  at::Tensor down_;
};

}  // namespace muonlab::nn
