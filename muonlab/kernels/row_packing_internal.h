// The packing of a level.
#pragma once

#include "muonlab/kernels/row_packing_table_internal.h"
#include "muonlab/kernels/simd_level.h"

namespace muonlab::kernels {

/// Throws Error(kUnsupported) on a level that this build or CPU does not have.
[[nodiscard]] const PackingTable& packing_table(SimdLevel level);

}  // namespace muonlab::kernels
