// The element-wise kernels on lists of arrays, by the threads of a pool.
//
// The arrays are cut into pieces of kPieceSize values, 64 KiB, which no two
// threads share a cache line of when an array starts at one. The threads take
// the next piece as they get free. Nothing in a result depends on who took
// which, nor on the thread count.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <vector>

#include "muonlab/core/thread_pool.h"
#include "muonlab/kernels/elementwise.h"

namespace muonlab::kernels {

inline constexpr std::size_t kPieceSize = 16384;
/// Lists of so few pieces are worked on by the calling thread alone: to wake a
/// sleeping thread takes longer than they do.
inline constexpr std::size_t kPiecesOfOneThread = 4;

struct Piece {
  std::size_t array;   ///< its number in the list
  std::size_t begin;   ///< first value in that array, a multiple of kPieceSize
  std::size_t size;    ///< kPieceSize, or less at the array's end
  std::size_t number;  ///< its number among the pieces of all arrays
};

/// Calls `body` for every piece of arrays of these sizes, from any thread of
/// the pool. Throws what a body throws, when the others have ended. Must not
/// be called from inside a body of a pool.
void for_each_piece(std::span<const std::size_t> sizes, core::ThreadPool& pool,
                    const std::function<void(const Piece&)>& body);

struct ConstArray {
  const float* data;
  std::size_t size;
};

/// summarise() of each array, with the same bits.
[[nodiscard]] std::vector<GradientSummary> summarise_list(
    std::span<const ConstArray> arrays, core::ThreadPool& pool,
    SimdLevel level = active_simd_level());

struct AdamTask {
  float* w;
  const float* g;
  float* m;
  float* v;
  std::size_t size;
  AdamScalars scalars;
};

template <typename Scalars>
struct StepTask {
  float* w;
  const float* g;
  float* m;
  std::size_t size;
  Scalars scalars;
};
using LionTask = StepTask<LionScalars>;
using SgdTask = StepTask<SgdScalars>;
using SignumTask = StepTask<SignumScalars>;

void adam_list(std::span<const AdamTask> tasks, core::ThreadPool& pool,
               SimdLevel level = active_simd_level());
void lion_list(std::span<const LionTask> tasks, core::ThreadPool& pool,
               SimdLevel level = active_simd_level());
void sgd_list(std::span<const SgdTask> tasks, core::ThreadPool& pool,
              SimdLevel level = active_simd_level());
void signum_list(std::span<const SignumTask> tasks, core::ThreadPool& pool,
                 SimdLevel level = active_simd_level());

}  // namespace muonlab::kernels
