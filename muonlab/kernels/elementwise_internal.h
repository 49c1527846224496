// What the files of the element-wise kernels share.
#pragma once

#include <span>

#include "muonlab/kernels/elementwise.h"
#include "muonlab/kernels/elementwise_table_internal.h"

namespace muonlab::kernels {

/// Throws Error(kUnsupported) when this machine or build lacks the level.
[[nodiscard]] const ElementwiseTable& elementwise_table(SimdLevel level);

/// Of an array's chunks, in order.
[[nodiscard]] GradientSummary summary_of(std::span<const ChunkSummary> chunks);

}  // namespace muonlab::kernels
