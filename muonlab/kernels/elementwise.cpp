#include "muonlab/kernels/elementwise.h"

#include <algorithm>
#include <bit>
#include <limits>

#include "muonlab/core/error.h"
#include "muonlab/kernels/elementwise_internal.h"
#include "muonlab/kernels/elementwise_table_internal.h"

namespace muonlab::kernels {

const ElementwiseTable& elementwise_table(SimdLevel level) {
  if (!is_available(level)) {
    throw Error(ErrorKind::kUnsupported,
                concat("SIMD level: got '", simd_level_name(level),
                       "', which this machine or build lacks, expected up to ",
                       simd_level_name(available_simd_levels().back())));
  }
#ifdef MUONLAB_KERNELS_X86
  switch (level) {
    case SimdLevel::kScalar:
      break;
    case SimdLevel::kAvx2:
      return kAvx2Elementwise;
    case SimdLevel::kAvx512:
    case SimdLevel::kAvx512Bf16:
      return kAvx512Elementwise;
  }
#endif
  return kScalarElementwise;
}

GradientSummary summary_of(std::span<const ChunkSummary> chunks) {
  constexpr std::uint32_t kInfinity = 0x7f800000;
  double sum = 0;
  std::uint32_t largest = 0;
  for (const ChunkSummary& chunk : chunks) {
    sum += chunk.sum_of_squares;
    largest = std::max(largest, chunk.largest_bits);
  }
  // One NaN for all levels.
  if (largest > kInfinity) sum = std::numeric_limits<double>::quiet_NaN();
  return {sum, std::bit_cast<float>(largest), largest < kInfinity};
}

void adam_step(float* w, const float* g, float* m, float* v, std::size_t n,
               const AdamScalars& scalars, SimdLevel level) {
  elementwise_table(level).adam(w, g, m, v, n, scalars);
}

void lion_step(float* w, const float* g, float* m, std::size_t n,
               const LionScalars& scalars, SimdLevel level) {
  elementwise_table(level).lion(w, g, m, n, scalars);
}

void sgd_step(float* w, const float* g, float* m, std::size_t n,
              const SgdScalars& scalars, SimdLevel level) {
  elementwise_table(level).sgd(w, g, m, n, scalars);
}

void signum_step(float* w, const float* g, float* m, std::size_t n,
                 const SignumScalars& scalars, SimdLevel level) {
  elementwise_table(level).signum(w, g, m, n, scalars);
}

void momentum_rows(const float* g, const float* w, float* buffer,
                   float* direction, std::size_t n,
                   const MomentumScalars& scalars, SimdLevel level) {
  elementwise_table(level).momentum(g, w, buffer, direction, n, scalars);
}

void apply_rows(float* w, const float* o, std::size_t n,
                const Coupling& coupling, SimdLevel level) {
  elementwise_table(level).apply(w, o, n, coupling);
}

void second_moment_apply(float* w, const float* o, float* v, std::size_t n,
                         const SecondMomentScalars& scalars,
                         const Coupling& coupling, SimdLevel level) {
  elementwise_table(level).second_moment_apply(w, o, v, n, scalars, coupling);
}

double second_moment_divide(float* o, float* v, std::size_t n,
                            const SecondMomentScalars& scalars,
                            SimdLevel level) {
  const ElementwiseTable& table = elementwise_table(level);
  double sum = 0;
  // Summed while the chunk is still in the cache.
  for (std::size_t begin = 0; begin < n; begin += kSummaryChunk) {
    const std::size_t size = std::min(kSummaryChunk, n - begin);
    table.second_moment_divide(o + begin, v + begin, size, scalars);
    sum += table.summarise(o + begin, size).sum_of_squares;
  }
  return sum;
}

GradientSummary summarise(const float* g, std::size_t n, SimdLevel level) {
  const ElementwiseTable& table = elementwise_table(level);
  ChunkSummary all{0, 0};
  for (std::size_t begin = 0; begin < n; begin += kSummaryChunk) {
    const ChunkSummary chunk =
        table.summarise(g + begin, std::min(kSummaryChunk, n - begin));
    all.sum_of_squares += chunk.sum_of_squares;
    all.largest_bits = std::max(all.largest_bits, chunk.largest_bits);
  }
  return summary_of({&all, 1});
}

}  // namespace muonlab::kernels
