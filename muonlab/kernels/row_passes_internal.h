// The tables of the row passes, for dispatch and for the tests.
#pragma once

#include "muonlab/kernels/row_passes_table_internal.h"
#include "muonlab/kernels/simd_level.h"

namespace muonlab::kernels {

/// Throws Error(kUnsupported) when this machine or build lacks the level.
[[nodiscard]] const RowPassesTable& row_passes_table(SimdLevel level);

}  // namespace muonlab::kernels
