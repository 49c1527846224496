#include "muonlab/nn/feed_forward.h"

#include <torch/types.h>

#include "muonlab/nn/functional.h"

namespace muonlab::nn {

FeedForward::FeedForward(const ModelConfig& config)
    : torch::nn::Module("FeedForward"),
      gated_(config.activation == "swiglu"),
      hidden_(config.hidden) {
  up_ = register_parameter(
      gated_ ? "gate_up" : "up",
      torch::zeros({gated_ ? 2 * hidden_ : hidden_, config.width}));
  down_ = register_parameter("down", torch::zeros({config.width, hidden_}));
}

std::vector<ParameterDeclaration> FeedForward::declared_roles() const {
  if (!gated_) return {{"up", Role::kMatrix, {}}, {"down", Role::kMatrix, {}}};
  return {{"gate_up", Role::kMatrix, {{"gate", hidden_}, {"up", hidden_}}},
          {"down", Role::kMatrix, {}}};
}

at::Tensor FeedForward::forward(const at::Tensor& x) const {
  const at::Tensor inner = nn::linear(x, up_);
  return nn::linear(gated_ ? nn::swiglu(inner) : at::silu(inner), down_);
}

}  // namespace muonlab::nn
