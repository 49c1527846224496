// Causal self-attention with fused query, key and value.
#pragma once

#include <torch/nn/module.h>

#include <vector>

#include "muonlab/linalg/roles.h"
#include "muonlab/nn/functional.h"
#include "muonlab/nn/model_config.h"

namespace muonlab::nn {

/// Parameters: qkv.weight (3 width, width), rows [query; key; value], declared
/// as three blocks; output.weight (width, width).
class Attention : public torch::nn::Module, public DeclaresRoles {
 public:
  /// `layer` counts from 0; it matters under scale_attention_by_layer only.
  Attention(const ModelConfig& config, std::int64_t layer);
  /// x (batch, tokens, width) -> same shape. An empty table: no positions.
  /// `dropout`: the share of probabilities, and of the result, set to zero.
  [[nodiscard]] at::Tensor forward(const at::Tensor& x,
                                   const RotaryTable& table,
                                   double dropout = 0) const;
  [[nodiscard]] std::vector<ParameterDeclaration> declared_roles()
      const override;

  /// From now on forward() also finds each head's largest logit, q.k times the
  /// scale over all pairs that may attend (as much work as the logits
  /// themselves, a batch entry at a time).
  void watch_logits(bool on) { watched_ = on; }
  /// Per head, the largest since the last forget_logits(): (heads) of the
  /// weights' dtype. Throws Error(kInvalidArgument) when there was none.
  [[nodiscard]] at::Tensor largest_logits() const;
  void forget_logits() { largest_ = at::Tensor(); }
  [[nodiscard]] bool watches_logits() const { return watched_; }
  /// What another pass than forward() saw; the larger counts.
  void saw_logits(const at::Tensor& largest);

  [[nodiscard]] const at::Tensor& qkv() const { return qkv_; }
  [[nodiscard]] const at::Tensor& output() const { return output_; }
  [[nodiscard]] double scale() const { return scale_; }  ///< of the logits

 private:
  std::int64_t width_;
  std::int64_t heads_;
  double scale_;  // of the logits
  bool qk_norm_;
  bool by_head_;  // rotary by the head's number
  double norm_eps_;
  at::Tensor qkv_;
  at::Tensor output_;
  bool watched_ = false;
  mutable at::Tensor largest_;  // what a forward pass saw, not what it is

  void see_logits(const at::Tensor& q, const at::Tensor& k) const;
};

}  // namespace muonlab::nn
