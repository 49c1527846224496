// Products of row-major activations for the linear layers of a model. Each
// function works on the calling thread alone, on the part that it is given:
// who has several threads gives each a part. Results do not depend on how the
// work is cut into parts.
//
// Sums are float32, added in the order of the depth within a block of it
// (PackedShape::block_lines) and block after block.
//
// Errors: Error(kInvalidArgument) where sizes do not fit together; a level that
// this machine lacks throws Error(kUnsupported). Operands may hold NaN and
// infinity. The result may not overlap an operand, but may be the addend.
#pragma once

#include <cstddef>

#include "muonlab/kernels/packed.h"
#include "muonlab/kernels/rows.h"
#include "muonlab/kernels/simd_level.h"

namespace muonlab::kernels {

/// to.row r = row r of `from`, for panels [begin, end) of `to`; `from` has
/// to.shape.rows() rows of to.shape.depth() entries, of either element. Entries
/// are rounded where `to` is bfloat16 and `from` is not. Padding is zeroed.
void pack_rows(const Packed& to, const ConstRows& from, std::size_t begin,
               std::size_t end, SimdLevel level = active_simd_level());

/// to.row r = column r of `from`, which has to.shape.depth() rows of
/// to.shape.rows() entries.
void pack_columns(const Packed& to, const ConstRows& from, std::size_t begin,
                  std::size_t end, SimdLevel level = active_simd_level());

/// result = left right^T (+ addend), for rows [begin, end) of `left`.
///
/// A layer y = x W^T has right = pack_rows of W (out, in); its input's gradient
/// dx = dy W has right = pack_columns of W.
struct RowProduct {
  ConstRows left;    ///< (rows, depth), of right's element
  Packed right;      ///< (columns, depth)
  ConstRows addend;  ///< (rows, columns) float32, or data = null
  Rows result;       ///< (rows, columns), of either element
};
/// Scratch that multiply_rows and multiply_transposed need, 64-byte aligned.
[[nodiscard]] std::size_t row_product_scratch_bytes() noexcept;
void multiply_rows(const RowProduct& product, std::size_t begin,
                   std::size_t end, std::byte* scratch,
                   SimdLevel level = active_simd_level());

/// result (+)= left^T right, for rows [begin, end) of the result: the gradient
/// dW = dy^T x of a layer's weight.
struct TransposedProduct {
  ConstRows left;   ///< (depth, rows)
  ConstRows right;  ///< (depth, columns), of left's element
  std::size_t depth = 0;
  std::size_t columns = 0;
  bool accumulate = false;  ///< add to what `result` holds
  float scale = 1;          ///< of the product
  float* result = nullptr;  ///< (rows, columns)
  std::size_t result_stride = 0;
};
void multiply_transposed(const TransposedProduct& product, std::size_t begin,
                         std::size_t end, std::byte* scratch,
                         SimdLevel level = active_simd_level());

}  // namespace muonlab::kernels
