// What ends a product of rows, of one level. Level files include this, and no
// header of the standard library: see CMakeLists.txt.
#pragma once

#include <cstddef>

#include "muonlab/kernels/product_table_internal.h"

namespace muonlab::kernels {

/// result = scale * sums (+ addend), of one tile; rounded where it is bfloat16.
struct RowStoreCall {
  const float* sums;    ///< as TileCall leaves them
  std::size_t rows;     ///< 1 to kTileRows
  std::size_t columns;  ///< 1 to kTilePanels * kPanel
  float scale;
  const float* addend;  ///< or null; may be the result
  std::size_t addend_stride;
  void* result;
  std::size_t result_stride;  ///< elements from row to row
  bool result_bfloat16;
};

struct RowStoreTable {
  void (*store)(const RowStoreCall&) noexcept;
};

extern const RowStoreTable kScalarRowStore;
extern const RowStoreTable kAvx512RowStore;

}  // namespace muonlab::kernels
