// What a decoder transformer looks like.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace muonlab::nn {

struct ModelConfig {
  std::int64_t vocabulary = 0;  ///< rows of embedding and head
  std::int64_t context = 128;   ///< longest sequence, tokens
  std::int64_t width = 128;     ///< d, features of the residual stream
  std::int64_t layers = 4;
  std::int64_t heads = 4;     ///< width must be a multiple
  std::int64_t hidden = 352;  ///< features inside the feed-forward
  /// "swiglu", "geglu" (gated), "silu", "gelu", "relu2".
  std::string activation = "swiglu";
  /// "rotary" (half-split), "none", or "rotary_by_head": rotated by the number
  /// of the head instead of the token, which cancels in every logit and so
  /// equals "none". A published study had it; plain layers only.
  std::string positions = "rotary";
  double rope_theta = 10000;  ///< base of the rotary frequencies
  /// Each head's queries and keys are divided by their root mean square, before
  /// rotary; without a gain. Henry et al., arXiv 2010.04245, as in OLMo 2.
  bool qk_norm = false;
  bool tied_head = false;  ///< the head is the embedding matrix
  double norm_eps = 1e-5;  ///< inside the square root of RMSNorm
  /// Logits of layer l (from 0) are divided by l + 1. Off: a published GPT-2
  /// code has it, and its author blames it for Muon's poor start.
  bool scale_attention_by_layer = false;
  /// Embedded tokens are multiplied by sqrt(width).
  bool scale_embedding = false;
  /// Share of values that training sets to zero (and scales the others by
  /// 1 / (1 - dropout)) in six places: after the embedding, on the attention's
  /// probabilities, after its output, after the activation, after the
  /// feed-forward, before the head. Plain layers only.
  double dropout = 0;

  // Initial weights are normal. Matrices: std = gain / sqrt(fan_in).
  /// With init_matrix_std, every matrix of a block has that std instead.
  double init_gain = 0.5;
  double init_output_gain = 0;  ///< output projections; 0 starts them at zero
  std::optional<double> init_matrix_std;
  double init_embedding_std = 0.02;
  double init_head_std = 0.02;  ///< without effect under a tied head
};

/// The feed-forward multiplies by a gate: twice the rows before the activation.
[[nodiscard]] bool is_gated(const std::string& activation);

/// Throws Error(kInvalidArgument) naming the field, its value and its range.
void validate(const ModelConfig& config);

struct ModelSize {
  std::int64_t parameters = 0;
  std::int64_t hidden = 0;  ///< of them in the blocks' matrices
};
[[nodiscard]] ModelSize model_size(const ModelConfig& config);

/// Floating-point operations to train on one token: six per matrix weight
/// (head included, embedding not) and 6 L d T for causal attention.
[[nodiscard]] double flops_per_token(const ModelConfig& config);

}  // namespace muonlab::nn
