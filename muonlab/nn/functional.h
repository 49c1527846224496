// The layers' arithmetic, with gradients written out: fewer passes over memory
// than a chain of small operators. Each has a plain twin in the tests.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace muonlab::nn {

/// x (..., in) times weight (out, in) transposed -> (..., out). Float products
/// take linalg::matmul's road.
[[nodiscard]] at::Tensor linear(const at::Tensor& x, const at::Tensor& weight);

/// x / sqrt(mean(x^2) + eps) * gain over the last dimension; gain (features).
/// Zhang & Sennrich, arXiv 1910.07467.
[[nodiscard]] at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& gain,
                                  double eps);

/// Cosines and sines of position * theta^(-2j/D): two (context, D/2) tensors.
struct RotaryTable {
  at::Tensor cosine;
  at::Tensor sine;
};
[[nodiscard]] RotaryTable rotary_table(std::int64_t context,
                                       std::int64_t head_features, double theta,
                                       at::ScalarType dtype);

/// Rotates x (batch, tokens, heads, D) by its position, half-split: feature j
/// pairs with j + D/2; y1 = x1 c - x2 s, y2 = x2 c + x1 s (Llama, GPT-NeoX).
[[nodiscard]] at::Tensor rotate(const at::Tensor& x, const RotaryTable& table);

/// silu(gate) * up of x (..., 2 hidden) = [gate, up] -> (..., hidden).
/// Shazeer, arXiv 2002.05202.
[[nodiscard]] at::Tensor swiglu(const at::Tensor& x);

/// Inverted dropout: each value becomes 0 with probability `share`, else is
/// divided by 1 - share; x itself where the share is 0. LibTorch's default
/// generator decides.
[[nodiscard]] at::Tensor drop(const at::Tensor& x, double share);

}  // namespace muonlab::nn
