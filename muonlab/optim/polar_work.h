// How much of a step is the polar iteration.
#pragma once

#include "muonlab/kernels/polar.h"
#include "muonlab/optim/plan.h"

namespace muonlab::optim {

/// What the packed kernels execute for the polar factors of a route's matrices
/// in one update; zero where its rule takes none, or not by these kernels.
[[nodiscard]] kernels::PolarFlops polar_work(const Plan& plan,
                                             const Route& route);

}  // namespace muonlab::optim
