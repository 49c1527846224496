// Element-wise kernels on float32: one pass over memory for each step of a
// rule.
//
// Contract. All levels give the same bits (a NaN's payload aside): the
// operations are those of the formulas, each rounded once, never fused, with
// correctly rounded division and square root. Results do not depend on the
// thread count. Any length, no alignment needed; arrays that start at a cache
// line save a few percent. Arrays may be the same or apart, never overlap in
// part. Each array holds n values; what lies around it is neither used nor
// changed. sign() of a NaN is 0, as LibTorch's. Denormals are kept.
//
// The last argument is the level, for tests and benchmarks. A level that this
// machine lacks throws Error(kUnsupported).
#pragma once

#include <cstddef>

#include "muonlab/kernels/elementwise_scalars.h"
#include "muonlab/kernels/simd_level.h"

namespace muonlab::kernels {

/// Adam and AdamW; changes w, m and v.
void adam_step(float* w, const float* g, float* m, float* v, std::size_t n,
               const AdamScalars& scalars,
               SimdLevel level = active_simd_level());
/// Changes w and m, as the next two.
void lion_step(float* w, const float* g, float* m, std::size_t n,
               const LionScalars& scalars,
               SimdLevel level = active_simd_level());
void sgd_step(float* w, const float* g, float* m, std::size_t n,
              const SgdScalars& scalars, SimdLevel level = active_simd_level());
void signum_step(float* w, const float* g, float* m, std::size_t n,
                 const SignumScalars& scalars,
                 SimdLevel level = active_simd_level());

/// Changes the buffer and writes the direction, which may be g. `w` is read
/// with an l2 alone, and may be null without.
void momentum_rows(const float* g, const float* w, float* buffer,
                   float* direction, std::size_t n,
                   const MomentumScalars& scalars,
                   SimdLevel level = active_simd_level());

/// W <- keep W - step O.
void apply_rows(float* w, const float* o, std::size_t n,
                const Coupling& coupling,
                SimdLevel level = active_simd_level());

/// Second moment of O, and W <- keep W - step U in the same pass; changes w
/// and v.
void second_moment_apply(float* w, const float* o, float* v, std::size_t n,
                         const SecondMomentScalars& scalars,
                         const Coupling& coupling,
                         SimdLevel level = active_simd_level());
/// The same where the step needs |U| first: writes U over O and returns its
/// sum of squares, added as in summarise(); apply_rows is the second pass.
[[nodiscard]] double second_moment_divide(
    float* o, float* v, std::size_t n, const SecondMomentScalars& scalars,
    SimdLevel level = active_simd_level());

/// What clipping and a check for divergence need to know of a gradient.
struct GradientSummary {
  double sum_of_squares = 0;    ///< NaN if a value is, else infinite if one is
  float largest_magnitude = 0;  ///< likewise
  bool finite = true;           ///< no value is NaN or infinite
};

/// Chunks of kSummaryChunk values, each with 16 lanes in float64: value i of a
/// chunk is added to lane i mod 16, the lanes are added as a tree (j and j+8,
/// then j+4, j+2, j+1), the chunks in order. The squares are exact, so for n
/// values the relative error is at most (kSummaryChunk/16 + 4 +
/// n/kSummaryChunk) 2^-53.
inline constexpr std::size_t kSummaryChunk = 16384;
[[nodiscard]] GradientSummary summarise(const float* g, std::size_t n,
                                        SimdLevel level = active_simd_level());

}  // namespace muonlab::kernels
