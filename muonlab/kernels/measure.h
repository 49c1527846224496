// How fast the kernels run on this machine, as a share of what its cores can
// do. Every repetition stands between bursts of multiply-adds, so that a clock
// rate that changes meanwhile does not change the share.
#pragma once

#include <cstddef>

#include "muonlab/core/thread_pool.h"
#include "muonlab/kernels/packed.h"
#include "muonlab/kernels/polar.h"
#include "muonlab/kernels/simd_level.h"

namespace muonlab::kernels {

/// Medians over the repetitions.
struct Measured {
  double seconds = 0;  ///< of one call
  double flops = 0;    ///< executed by one call
  /// Time that the executed operations take at the peak, over `seconds`.
  double share = 0;
  std::size_t repetitions = 0;
};

/// How long to go on: until `seconds` have passed, at least five repetitions
/// unless one alone takes longer than a second.
struct Effort {
  double seconds = 0.1;
};

/// rows x columns x depth: C = A B^T of packed matrices, packed again; with
/// `symmetric` A = B and one triangle is computed.
struct ProductSize {
  std::size_t rows = 0, columns = 0, depth = 0;
  bool symmetric = false;
  /// 2 rows columns depth; half of it when symmetric.
  [[nodiscard]] double flops() const noexcept;
};
[[nodiscard]] Measured measure_product(const ProductSize& size, Element element,
                                       core::ThreadPool& pool, SimdLevel level,
                                       const Effort& effort = {});

/// The polar factor of one Gaussian rows x columns matrix.
[[nodiscard]] Measured measure_polar(std::size_t rows, std::size_t columns,
                                     const PolarSchedule& schedule,
                                     core::ThreadPool& pool, SimdLevel level,
                                     const Effort& effort = {});

/// Seconds of one pass over `values` values: Adam's step, which moves 28 bytes
/// a value, and summarise(), which reads 4.
struct ElementwiseTimes {
  double adam = 0;
  double summarise = 0;
};
[[nodiscard]] ElementwiseTimes measure_elementwise(std::size_t values,
                                                   core::ThreadPool& pool,
                                                   SimdLevel level,
                                                   const Effort& effort = {});

/// Compares products, a polar step and Adam's step on small matrices with plain
/// loops in float64. Throws Error(kInternal) naming the first that differs.
void check_kernels(core::ThreadPool& pool, SimdLevel level);

}  // namespace muonlab::kernels
