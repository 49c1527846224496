// Packing of row-major matrices, of one level. Level files include this, and no
// header of the standard library: see CMakeLists.txt.
#pragma once

#include <cstddef>

#include "muonlab/kernels/product_table_internal.h"

namespace muonlab::kernels {

/// Panels of a block, one behind the other.
struct PackCall {
  const void* from;    ///< of the first row at the block's first k
  std::size_t stride;  ///< elements from row to row
  bool from_bfloat16;
  bool to_bfloat16;
  std::size_t rows;   ///< at least 1; those up to the last panel's end are zero
  std::size_t depth;  ///< entries of each; those up to the last line are zero
  std::size_t lines;  ///< a multiple of 8
  void* to;
};

struct PackingTable {
  void (*rows)(const PackCall&) noexcept;     ///< `from` holds them as rows
  void (*columns)(const PackCall&) noexcept;  ///< as columns
};

extern const PackingTable kScalarPacking;
extern const PackingTable kAvx512Packing;

}  // namespace muonlab::kernels
