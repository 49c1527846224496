#include "muonlab/nn/attention.h"

#include <torch/types.h>

#include <cmath>
#include <limits>

#include "muonlab/core/error.h"

namespace muonlab::nn {

Attention::Attention(const ModelConfig& config, std::int64_t layer)
    : torch::nn::Module("Attention"),
      width_(config.width),
      heads_(config.heads),
      scale_(1 / std::sqrt(static_cast<double>(config.width / config.heads))),
      qk_norm_(config.qk_norm),
      by_head_(config.positions == "rotary_by_head"),
      norm_eps_(config.norm_eps) {
  if (config.scale_attention_by_layer) scale_ /= static_cast<double>(layer + 1);
  qkv_ = register_parameter("qkv", torch::zeros({3 * width_, width_}));
  output_ = register_parameter("output", torch::zeros({width_, width_}));
}

std::vector<ParameterDeclaration> Attention::declared_roles() const {
  return {{"qkv",
           Role::kMatrix,
           {{"query", width_}, {"key", width_}, {"value", width_}}},
          {"output", Role::kMatrix, {}}};
}

at::Tensor Attention::largest_logits() const {
  MUONLAB_CHECK(largest_.defined(),
                "Attention: no logits were seen; call watch_logits(true) and "
                "run a forward pass");
  return largest_;
}

// q, k: (batch, tokens, heads, D)
void Attention::see_logits(const at::Tensor& q, const at::Tensor& k) const {
  const at::NoGradGuard no_grad;
  const at::Tensor hidden =
      at::ones({q.size(1), q.size(1)}, q.options().dtype(at::kBool)).triu(1);
  for (std::int64_t b = 0; b < q.size(0); ++b) {
    const at::Tensor logits =
        at::matmul(q[b].transpose(0, 1), k[b].permute({1, 2, 0}))
            .mul_(scale_)
            .masked_fill_(hidden, -std::numeric_limits<double>::infinity());
    largest_ = largest_.defined() ? at::maximum(largest_, logits.amax({1, 2}))
                                  : logits.amax({1, 2});
  }
}

void Attention::saw_logits(const at::Tensor& largest) {
  largest_ = largest_.defined() ? at::maximum(largest_, largest) : largest;
}

at::Tensor Attention::forward(const at::Tensor& x, const RotaryTable& table,
                              double dropout) const {
  const std::int64_t batch = x.size(0);
  const std::int64_t tokens = x.size(1);
  const at::Tensor qkv = nn::linear(x, qkv_);
  // (batch, tokens, heads, D) views of the fused result.
  const auto part = [&](std::int64_t index) {
    return qkv.narrow(-1, index * width_, width_)
        .view({batch, tokens, heads_, width_ / heads_});
  };
  at::Tensor q = part(0);
  at::Tensor k = part(1);
  if (qk_norm_) {
    const at::Tensor one =
        at::ones({width_ / heads_}, q.options().requires_grad(false));
    q = nn::rms_norm(q, one, norm_eps_);
    k = nn::rms_norm(k, one, norm_eps_);
  }
  if (table.cosine.defined()) {
    const auto rotated = [&](const at::Tensor& y) {
      return by_head_ ? nn::rotate(y.transpose(1, 2), table).transpose(1, 2)
                      : nn::rotate(y, table);
    };
    q = rotated(q);
    k = rotated(k);
  }
  if (watched_) see_logits(q, k);
  const at::Tensor mixed = at::scaled_dot_product_attention(
      q.transpose(1, 2), k.transpose(1, 2), part(2).transpose(1, 2),
      /*attn_mask=*/{}, dropout, /*is_causal=*/true, scale_);
  return nn::drop(
      nn::linear(mixed.transpose(1, 2).reshape({batch, tokens, width_}),
                 output_),
      dropout);
}

}  // namespace muonlab::nn
