// What the row passes take besides pointers and sizes.
#pragma once

#include <cstddef>

namespace muonlab::kernels {

/// What happens to the `heads` heads of `features` numbers each in a row.
struct HeadPass {
  std::size_t heads = 0;
  std::size_t features = 0;
  /// Position of row r is (first_position + r) mod context.
  std::size_t first_position = 0;
  std::size_t context = 0;
  /// (context, features / 2) each, or null: no rotation. Half-split: feature j
  /// pairs with j + features / 2; y1 = x1 c - x2 s, y2 = x2 c + x1 s.
  const float* cosine = nullptr;
  const float* sine = nullptr;
  /// First each head is divided by its root mean square (no gain): QK-norm.
  bool norm = false;
  float eps = 0;
};

/// What stands between the two products. Gated: x (rows, 2 hidden) is [gate,
/// up] and the result f(gate) * up; else x is (rows, hidden) and it is f(x).
enum class Activation {
  kSilu,    ///< x / (1 + exp(-x))
  kGelu,    ///< 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))
  kRelu2,   ///< max(x, 0)^2
  kSwiGlu,  ///< gated silu; Shazeer, arXiv 2002.05202
  kGeGlu,   ///< gated gelu
};

}  // namespace muonlab::kernels
