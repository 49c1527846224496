// Packing of row-major matrices, of one level. Level files include this, and no
// header of the standard library: see CMakeLists.txt.
#pragma once

#include <cstddef>

#include "muonlab/kernels/product_table_internal.h"

namespace muonlab::kernels {

/// One panel of a block: consecutive lines.
struct PackCall {
  const void* from;    ///< of the panel's first row at the block's first k
  std::size_t stride;  ///< elements from row to row
  bool from_bfloat16;
  bool to_bfloat16;
  std::size_t rows;   ///< of the panel, 1 to kPanel; the others are zero
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
