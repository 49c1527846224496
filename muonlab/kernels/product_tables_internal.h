// The product kernels of a level.
#pragma once

#include "muonlab/kernels/product_table_internal.h"
#include "muonlab/kernels/simd_level.h"

namespace muonlab::kernels {

/// Throws Error(kUnsupported) on a level that this build or CPU does not have.
[[nodiscard]] const ProductTable& product_table(SimdLevel level);

}  // namespace muonlab::kernels
