// What each instruction set brings to the packed products. Level files include
// this header alone, so it holds plain data and no function.
#pragma once

#include <cstddef>
#include <cstdint>

namespace muonlab::kernels {

/// Rows of a panel; a line is the 64 bytes that one k (float32) or one pair of
/// k (bfloat16) of a panel takes.
inline constexpr std::size_t kPanel = 16;
inline constexpr std::size_t kLineBytes = 64;
/// Rows of a tile: half a panel.
inline constexpr std::size_t kTileRows = 8;
/// Panels that one call of a tile kernel spans at most.
inline constexpr std::size_t kTilePanels = 3;
/// Sums of one block: kTileRows x kPanel floats, row-major.
inline constexpr std::size_t kBlock = kTileRows * kPanel;

/// sums[p][r][c] (+)= left row r times right row (16 p + c), over `lines`
/// lines.
struct TileCall {
  const void* left;          ///< the half panel: 8 lanes of each line
  const void* right;         ///< lines of the first right panel
  std::size_t right_stride;  ///< bytes from one right panel to the next
  std::size_t lines;
  std::size_t panels;  ///< 1 to kTilePanels
  bool first;          ///< sums start at zero instead of what `sums` holds
  float* sums;         ///< 64-byte aligned
  /// `lines` / 2 lines that the caller reads soon, or null.
  const void* prefetch;
};

/// A packed matrix that receives a finished block of C.
struct BlockTarget {
  /// Where C[0][0..15] goes as (part of) a line of the panel of C's columns:
  /// 8 lines (float32) or 4 (bfloat16). Null: not wanted.
  void* direct;
  /// Where column 0 of the block goes as half a line of the panel of C's rows:
  /// 16 half lines (float32) or 8 (bfloat16). Null: not wanted.
  void* transposed;
  bool bfloat16;
  float diagonal;  ///< added to C[i][i] in diagonal blocks
};

enum class BlockShape {
  kFull,
  /// Rows 0-7 of a 16 x 16 diagonal square: the first 8 columns count; what is
  /// right of the diagonal is replaced by its mirror image.
  kDiagonalLow,
  /// Rows 8-15 of one: all 16 columns count; the last 8 are mirrored likewise.
  kDiagonalHigh,
};

/// v = alpha * sums + beta * addend, then to every target.
struct BlockCall {
  const float* sums;
  std::size_t sums_stride;  ///< floats from row to row
  float alpha;
  float beta;          ///< without an addend: not read
  const void* addend;  ///< direct lines, as BlockTarget::direct, or null
  bool addend_bfloat16;
  BlockShape shape;
  std::size_t target_count;  ///< 0 to 3
  BlockTarget targets[3];
  /// Row-major float32 output or null: C[r][c] at rows[r * stride + c], or at
  /// rows[c * stride + r] when transposed.
  float* rows;
  std::size_t rows_stride;
  bool rows_transposed;
  std::size_t valid_rows;     ///< of 8
  std::size_t valid_columns;  ///< of 16
};

struct ProductTable {
  void (*tile_float32)(const TileCall&) noexcept;
  void (*tile_bfloat16)(const TileCall&) noexcept;
  void (*finish)(const BlockCall&) noexcept;
  /// Sum of squares in double; element i goes to lane i % 16, lanes are added
  /// pairwise at the end.
  double (*sum_of_squares)(const float* x, std::size_t n) noexcept;
  /// Independent multiply-adds, `rounds` of them times kBurstFlops operations:
  /// what the cores can do.
  float (*burst_float32)(std::size_t rounds) noexcept;
  float (*burst_bfloat16)(std::size_t rounds) noexcept;
  std::size_t burst_flops_float32;   ///< per round
  std::size_t burst_flops_bfloat16;  ///< per round
};

extern const ProductTable kScalarProducts;
extern const ProductTable kAvx2Products;
extern const ProductTable kAvx512Products;
extern const ProductTable kAvx512Bf16Products;

}  // namespace muonlab::kernels
