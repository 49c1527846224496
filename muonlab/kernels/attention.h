// Causal softmax attention of one head, forward and backward, without a
// (tokens, tokens) matrix: memory grows with the tokens, not with their square.
// Each function works on the calling thread alone.
//
//   o_i = sum_{j <= i} p_ij v_j,  p_ij = exp(scale q_i.k_j - lse_i)
//
// Dao, arXiv 2307.08691 (FlashAttention-2) for the recurrences and the
// gradients. Products have operands of the given element and float32 sums;
// exponentials and sums over a row are float32. With bfloat16, p and ds are
// rounded before they are multiplied.
//
// Any number of tokens (1 and more) and any head size (1 to 256, odd ones too).
// A NaN or an infinity in q, k or v makes the affected outputs NaN (an infinity
// in v may leave an infinity), never a fault; in the aligned group of 16 tokens
// that holds it, it may reach the outputs of other tokens too. Logits of any
// finite size are fine: the row's maximum is subtracted.
#pragma once

#include <cstddef>

#include "muonlab/kernels/rows.h"
#include "muonlab/kernels/simd_level.h"

namespace muonlab::kernels {

/// One head of one sequence: (tokens, features) each, of one element.
struct AttentionForward {
  std::size_t tokens = 0;
  std::size_t features = 0;
  float scale = 1;
  ConstRows q;
  ConstRows k;
  ConstRows v;
  Rows o;
  float* lse = nullptr;  ///< (tokens): log of the sum of the exponentials
  /// If not null: raised to the largest scale q_i.k_j with j <= i, if larger.
  float* largest_logit = nullptr;
};
[[nodiscard]] std::size_t attention_scratch_bytes(std::size_t tokens,
                                                  std::size_t features,
                                                  Element element);
/// `scratch`: attention_scratch_bytes(), 64-byte aligned.
void attention_forward(const AttentionForward& call, std::byte* scratch,
                       SimdLevel level = active_simd_level());

struct AttentionBackward {
  std::size_t tokens = 0;
  std::size_t features = 0;
  float scale = 1;
  ConstRows q;
  ConstRows k;
  ConstRows v;
  ConstRows o;                 ///< of the forward pass
  const float* lse = nullptr;  ///< of the forward pass
  ConstRows d_o;               ///< gradient of o
  Rows dq;                     ///< written; q's element
  Rows dk;
  Rows dv;
};
/// dq, dk and dv may not overlap q, k, v, o or d_o.
void attention_backward(const AttentionBackward& call, std::byte* scratch,
                        SimdLevel level = active_simd_level());

}  // namespace muonlab::kernels
