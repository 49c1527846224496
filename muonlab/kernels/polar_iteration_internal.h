// One matrix's iteration, run by a team.
#pragma once

#include <cstddef>

#include "muonlab/kernels/polar.h"
#include "muonlab/kernels/product.h"

namespace muonlab::kernels {

/// Throws Error(kInvalidArgument) where the sizes overflow.
[[nodiscard]] std::size_t iteration_bytes(const PolarJob& job,
                                          const PolarSchedule& schedule);

/// Every member of the team calls it with the same arguments; `memory` has
/// iteration_bytes().
void iterate(Team& team, const ProductTable& table, const PolarJob& job,
             const PolarSchedule& schedule, std::byte* memory,
             const ProductScratch& scratch);

/// A restart after the last step would do nothing and is none.
[[nodiscard]] bool is_restart(const PolarSchedule& schedule, std::size_t step);

}  // namespace muonlab::kernels
