// Newton-Schulz iterations for the polar factor on packed matrices: nothing is
// repacked between products, symmetric products are computed once.
//
// With n <= m the short and the long side, X0 = M / (safety |M|_F + eps), tall
// matrices seen as their transpose, step (a, b, c):
//
//   standard  A = X X^T; Z = bA + cA^2; X <- aX + ZX      (3m + n) n^2 a step
//   Gram      R = X X^T, Q = I; Z = bR + cR^2; Q <- QZ + aQ;
//             T = RZ + aR; R <- ZT + aT; at the end X <- QX
//             (github.com/Dao-AILab/gram-newton-schulz)   4 n^3 a step
//
// A restart ends a Gram segment early: X <- QX, R = X X^T, Q = I.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "muonlab/core/thread_pool.h"
#include "muonlab/kernels/product.h"
#include "muonlab/kernels/simd_level.h"

namespace muonlab::kernels {

enum class PolarForm { kStandard, kGram };

enum class PolarPrecision {
  kFloat32,
  kBFloat16,        ///< operands rounded to bfloat16, sums in float32
  kBFloat16Master,  ///< the same with X kept in float32 beside; standard form
  kMixed,  ///< Gram form: X and the Q that meets it in bfloat16, else float32
};

struct PolarStep {
  float a = 0, b = 0, c = 0;
};

struct PolarSchedule {
  PolarForm form = PolarForm::kStandard;
  PolarPrecision precision = PolarPrecision::kFloat32;
  std::vector<PolarStep> steps;  ///< 1 or more
  /// Gram form: numbers of the steps (from 1) that a restart follows.
  std::vector<std::size_t> restarts;
  /// false: the matrix is taken as it is, safety and eps are not read.
  bool normalise = true;
  double safety = 1;
  double eps = 1e-7;
  bool clamp_eps = false;  ///< divide by max(safety |M|_F, eps) instead
};

/// One matrix: `source` gives it by blocks, once. The factor is written to
/// `out`, row-major, `out_stride` floats from row to row; with a null `out` it
/// lives in memory of the call and only the callbacks see it. They are called
/// when the factor is complete, once for every run of kPolarFinishRows rows, by
/// any thread: first `measure`, which may change its rows, for all of them,
/// then `finish`. This is where an optimizer takes its step.
inline constexpr std::size_t kPolarFinishRows = 32;
struct PolarJob {
  std::size_t rows = 0;
  std::size_t columns = 0;
  BlockSource source;
  float* out = nullptr;
  std::size_t out_stride = 0;
  /// `factor` is row 0 of the factor.
  void (*measure)(void* context, float* factor, std::size_t stride,
                  std::size_t row, std::size_t rows) = nullptr;
  void (*finish)(void* context, const float* factor, std::size_t stride,
                 std::size_t row, std::size_t rows) = nullptr;
  void* finish_context = nullptr;
};

/// Reads a row-major matrix; the context is a const MatrixView*.
struct MatrixView {
  const float* data = nullptr;
  std::size_t stride = 0;
};
void fill_from_matrix(void* view, std::size_t row, std::size_t rows,
                      std::size_t column, std::size_t columns, float* to,
                      std::size_t stride);

/// Multiplications and additions that the iteration executes on an n x m matrix
/// (symmetric products counted once), in float32 and in bfloat16.
struct PolarFlops {
  double float32 = 0;
  double bfloat16 = 0;
};
[[nodiscard]] PolarFlops polar_flops(std::size_t rows, std::size_t columns,
                                     const PolarSchedule& schedule);

/// Short sides up to this are given to single threads, where there are enough
/// of them: no barrier, and nearly the same efficiency.
inline constexpr std::size_t kPolarAlone = 512;

/// The polar factors of all jobs, in any order, on the pool's threads: large
/// matrices by all threads together, then whole matrices per thread, the
/// largest first. Results do not depend on the number of threads: they are the
/// same to the bit. A zero matrix gives zero; NaN or infinity in a matrix makes
/// its factor NaN and touches no other. No job's output may overlap another's
/// input or output. Throws Error(kInvalidArgument) on an empty schedule or a
/// precision that does not fit the form, and std::bad_alloc, both before
/// anything is read or written.
void polar_factors(std::span<const PolarJob> jobs,
                   const PolarSchedule& schedule, core::ThreadPool& pool,
                   SimdLevel level);

}  // namespace muonlab::kernels
