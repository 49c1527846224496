// The road from polar options to the packed kernels.
#pragma once

#include <optional>
#include <string_view>

#include "muonlab/core/thread_pool.h"
#include "muonlab/kernels/polar.h"
#include "muonlab/linalg/polar.h"

namespace muonlab::linalg {

/// The packed iteration that these options ask for, of a float32 matrix on the
/// CPU; none where they name what the kernels do not have (SVD, QDWH, float64),
/// or MUONLAB_POLAR=aten is in the environment. With another norm than
/// Frobenius its `normalise` is false: the caller divides first.
[[nodiscard]] std::optional<kernels::PolarSchedule> packed_schedule(
    const PolarOptions& options);

/// Threads for kernels: as many as LibTorch uses.
[[nodiscard]] core::ThreadPool& kernel_pool();

/// "aten", or the kernels' instruction set: what float32 polar factors are
/// computed with. Results of two roads differ by rounding, so it belongs to a
/// run's identity.
[[nodiscard]] std::string_view polar_backend();

}  // namespace muonlab::linalg
