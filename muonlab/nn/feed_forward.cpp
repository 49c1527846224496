#include "muonlab/nn/feed_forward.h"

#include <torch/types.h>

#include "muonlab/nn/functional.h"

namespace muonlab::nn {

FeedForward::FeedForward(const ModelConfig& config)
    : torch::nn::Module("FeedForward"),
      activation_(config.activation),
      gated_(is_gated(config.activation)),
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

at::Tensor FeedForward::forward(const at::Tensor& x, double dropout) const {
  const at::Tensor inner = nn::linear(x, up_);
  return nn::drop(nn::linear(nn::drop(activated(inner), dropout), down_),
                  dropout);
}

at::Tensor FeedForward::activated(const at::Tensor& inner) const {
  if (activation_ == "swiglu") return nn::swiglu(inner);
  if (activation_ == "silu") return at::silu(inner);
  if (activation_ == "relu2") return at::relu(inner).square();
  if (activation_ == "gelu") return at::gelu(inner, "tanh");
  const at::Tensor gate = at::gelu(inner.narrow(-1, 0, hidden_), "tanh");
  return gate * inner.narrow(-1, hidden_, hidden_);
}

}  // namespace muonlab::nn
