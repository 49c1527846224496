// What each instruction set brings to attention besides the products: the
// passes over the tiles of logits. Level files include this and no header of
// the standard library: see CMakeLists.txt.
#pragma once

#include <cstddef>
#include <cstdint>

#include "muonlab/kernels/product_table_internal.h"

namespace muonlab::kernels {

/// The online softmax over a block of keys, for a panel of 16 queries: lane q
/// is query q, a row of the tile is a key.
struct SoftmaxCall {
  const float* logits;  ///< tiles [half panel of keys][8][16], unscaled
  std::size_t stride;   ///< floats from one tile to the next
  std::size_t halves;   ///< even
  float scale;          ///< of the logits: exponents are of base 2
  /// Key k of the block counts for query q when k + shift <= q.
  std::ptrdiff_t shift;
  float* maximum;  ///< [16] of the scaled logits so far, updated
  float* sum;      ///< [16] of the exponentials so far, updated
  float* factor;   ///< [16] what to multiply earlier sums by, written
  void* lines;     ///< the exponentials: 16 queries, lines along the keys
  bool bfloat16;
};

/// Probabilities and gradients of the logits for half a panel of queries: a row
/// of the tile is a query, lane k is a key.
struct GradientCall {
  const float* logits;   ///< [panel of keys][8][16], unscaled
  const float* d_probs;  ///< the same of d_o v
  std::size_t panels;    ///< of keys
  float scale;           ///< of the logits, for exponents of base 2
  const float* lse;      ///< [8] for exponents of base 2
  const float* delta;    ///< [8]
  /// Key k counts for query q when k <= q + shift.
  std::ptrdiff_t shift;
  /// Lines of keys along the queries, of the first panel: 8 lines (float32) or
  /// 4 (bfloat16) of each panel.
  std::byte* p;
  std::byte* ds;
  std::size_t panel_bytes;  ///< from one panel of keys to the next
  /// Half lines of queries along the keys.
  std::byte* ds_rows;
  bool bfloat16;
};

/// Row-major output of tiles [panel of columns][8][16].
struct StoreCall {
  const float* sums;
  const float* factor;  ///< [8], of each row
  void* to;
  std::size_t stride;  ///< entries
  std::size_t rows;    ///< at most 8
  std::size_t columns;
  bool bfloat16;
};

struct AttentionTable {
  void (*softmax)(const SoftmaxCall&) noexcept;
  void (*gradient)(const GradientCall&) noexcept;
  /// Tiles [panel][8][16]: row r times factor[r].
  void (*rescale)(float* sums, std::size_t panels,
                  const float* factor) noexcept;
  void (*store)(const StoreCall&) noexcept;
  float (*dot)(const void* a, const void* b, std::size_t n,
               bool bfloat16) noexcept;
};

extern const AttentionTable kScalarAttention;
extern const AttentionTable kAvx2Attention;
extern const AttentionTable kAvx512Attention;
extern const AttentionTable kAvx512Bf16Attention;

}  // namespace muonlab::kernels
