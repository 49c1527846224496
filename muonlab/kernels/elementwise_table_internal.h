// The element-wise kernels of one level. Level files include this, and no
// header of the standard library: see CMakeLists.txt.
#pragma once

#include <cstddef>
#include <cstdint>

#include "muonlab/kernels/elementwise_scalars.h"

namespace muonlab::kernels {

struct ChunkSummary {
  double sum_of_squares;
  std::uint32_t largest_bits;  ///< of |x|, compared as integers: NaN is largest
};

struct ElementwiseTable {
  void (*adam)(float* w, const float* g, float* m, float* v, std::size_t n,
               const AdamScalars&) noexcept;
  void (*lion)(float* w, const float* g, float* m, std::size_t n,
               const LionScalars&) noexcept;
  void (*sgd)(float* w, const float* g, float* m, std::size_t n,
              const SgdScalars&) noexcept;
  void (*signum)(float* w, const float* g, float* m, std::size_t n,
                 const SignumScalars&) noexcept;
  void (*momentum)(const float* g, const float* w, float* buffer,
                   float* direction, std::size_t n,
                   const MomentumScalars&) noexcept;
  void (*apply)(float* w, const float* o, std::size_t n,
                const Coupling&) noexcept;
  void (*second_moment_apply)(float* w, const float* o, float* v, std::size_t n,
                              const SecondMomentScalars&,
                              const Coupling&) noexcept;
  void (*second_moment_divide)(float* o, float* v, std::size_t n,
                               const SecondMomentScalars&) noexcept;
  /// Element i is added to lane i % 16; the lanes are added as fold() says.
  ChunkSummary (*summarise)(const float* x, std::size_t n) noexcept;
};

extern const ElementwiseTable kScalarElementwise;
extern const ElementwiseTable kAvx2Elementwise;
extern const ElementwiseTable kAvx512Elementwise;

}  // namespace muonlab::kernels
