// What the two passes of attention share: packed operands in blocks of tokens,
// and products of them.
#pragma once

#include <cstddef>

#include "muonlab/kernels/attention.h"
#include "muonlab/kernels/attention_table_internal.h"
#include "muonlab/kernels/product_table_internal.h"

namespace muonlab::kernels {

/// Queries and keys are taken in blocks of so many, a multiple of 16. What a
/// pair of blocks needs fits the second cache well, its tiles the first.
inline constexpr std::size_t kTokenBlock = 64;
/// Factor that makes a natural exponent one of base 2.
inline constexpr double kLog2E = 1.4426950408889634;

[[nodiscard]] constexpr std::size_t padded_to_panel(std::size_t n) noexcept {
  return (n + kPanel - 1) / kPanel * kPanel;
}

struct AttentionKernels {
  const ProductTable& products;
  const AttentionTable& passes;
  SimdLevel level;
  Element element;
  void (*tile)(const TileCall&) noexcept;

  [[nodiscard]] bool bfloat16() const noexcept {
    return element == Element::kBFloat16;
  }
  /// Lines of so many values of the depth.
  [[nodiscard]] std::size_t lines(std::size_t depth) const noexcept {
    return bfloat16() ? depth / 2 : depth;
  }
  [[nodiscard]] std::size_t line_bytes(std::size_t depth) const noexcept {
    return lines(depth) * kLineBytes;
  }
};

/// Throws Error(kUnsupported) on a level that this machine lacks.
[[nodiscard]] AttentionKernels attention_kernels(SimdLevel level,
                                                 Element element);
/// Throws Error(kInvalidArgument) on sizes or elements that attention does not
/// take.
void check_attention(std::size_t tokens, std::size_t features, Element element);
void check_attention_operand(const ConstRows& rows, std::size_t features,
                             Element element, const char* name);

/// Cuts scratch into parts of whole lines; with a null begin it just counts.
class Cutter {
 public:
  explicit Cutter(std::byte* begin) noexcept : begin_(begin) {}
  [[nodiscard]] std::byte* take(std::size_t bytes) noexcept {
    const std::size_t at = used_;
    // One more line keeps parts of equal power-of-two size apart.
    used_ += (bytes + kLineBytes - 1) / kLineBytes * kLineBytes + kLineBytes;
    return begin_ == nullptr ? nullptr : begin_ + at;
  }
  [[nodiscard]] float* take_floats(std::size_t count) noexcept {
    return reinterpret_cast<float*>(take(count * sizeof(float)));
  }
  [[nodiscard]] std::size_t used() const noexcept { return used_; }

 private:
  std::byte* begin_;
  std::size_t used_ = 0;
};

/// A (tokens, features) operand as rows: lines along the features.
class TokenRows {
 public:
  TokenRows() = default;
  TokenRows(Cutter& cutter, std::size_t tokens, std::size_t features,
            Element element);
  void pack(const ConstRows& from, SimdLevel level);

  /// For 8 rows from `row` on, against 1 to kTilePanels or more panels of
  /// `right` from its row `column` on: tiles [panel][8][16] to `sums`.
  void multiply(const AttentionKernels& kernels, std::size_t row,
                const TokenRows& right, std::size_t column, std::size_t panels,
                float* sums) const noexcept;

 private:
  Packed packed_;
};

/// The same as columns: a row is a feature, lines along the tokens of a block.
class TokenColumns {
 public:
  TokenColumns() = default;
  TokenColumns(Cutter& cutter, std::size_t tokens, std::size_t features,
               Element element);
  void pack(const ConstRows& from, SimdLevel level);

  /// left: half a panel of rows, its lines along the tokens of a block, of
  /// which [begin, end), multiples of 16, count. Tiles [panel of
  /// features][8][16] are added to `sums`, or written where `first`.
  void multiply(const AttentionKernels& kernels, const std::byte* left,
                std::size_t block, std::size_t begin, std::size_t end,
                bool first, float* sums) const noexcept;

 private:
  [[nodiscard]] Packed block(std::size_t index) const;

  std::byte* data_ = nullptr;
  std::size_t tokens_ = 0;
  std::size_t features_ = 0;
  std::size_t panels_ = 0;
  std::size_t block_bytes_ = 0;
  Element element_ = Element::kFloat32;
};

struct ForwardScratch {
  ForwardScratch(Cutter& cutter, std::size_t tokens, std::size_t features,
                 Element element);
  TokenRows q, k;
  TokenColumns v;
  float* logits;  ///< tiles [half panel of keys][panel of queries]
  float* output;  ///< tiles [half panel of queries][panel of features]
  std::byte* p;   ///< [panel of queries], lines along the keys
};

struct BackwardScratch {
  BackwardScratch(Cutter& cutter, std::size_t tokens, std::size_t features,
                  Element element);
  TokenRows q, k, v, d_o;
  TokenColumns q_columns, k_columns, d_o_columns;
  float* lse;    ///< of base 2, infinite for padding
  float* delta;  ///< (tokens)
  float* dq;     ///< tiles [half panel of all queries][panel of features]
  float* dk;     ///< tiles [half panel of a block][panel of features]
  float* dv;
  float* logits;  ///< tiles [panel of keys]
  float* d_probs;
  std::byte* p;  ///< [panel of keys], lines along the queries
  std::byte* ds;
  std::byte* ds_rows;  ///< [panel of queries], lines along the keys
};

}  // namespace muonlab::kernels
