// 8 values at a time, and what remains one by one.
#include <immintrin.h>

#include "muonlab/kernels/elementwise_body_internal.h"

namespace muonlab::kernels {

namespace {

struct Eight {
  std::size_t i;

  __m256 load(const float* p) const { return _mm256_loadu_ps(p + i); }
  void store(float* p, __m256 x) const { _mm256_storeu_ps(p + i, x); }
  static __m256 set(float x) { return _mm256_set1_ps(x); }
  static __m256 root(__m256 x) { return _mm256_sqrt_ps(x); }
  static __m256 sign(__m256 x) {
    const __m256 zero = _mm256_setzero_ps();
    const __m256 one = _mm256_set1_ps(1);
    const __m256 above = _mm256_cmp_ps(x, zero, _CMP_GT_OQ);
    const __m256 below = _mm256_cmp_ps(x, zero, _CMP_LT_OQ);
    return _mm256_and_ps(above, one) - _mm256_and_ps(below, one);
  }
  static __m256 if_not_negative(__m256 x, __m256 yes, __m256 no) {
    const __m256 zero = _mm256_setzero_ps();
    return _mm256_blendv_ps(no, yes, _mm256_cmp_ps(x, zero, _CMP_GE_OQ));
  }
};

struct Sums {
  __m256d low = _mm256_setzero_pd();
  __m256d high = _mm256_setzero_pd();
  __m256i largest = _mm256_setzero_si256();

  void add(__m256 values) {
    const __m256d first = _mm256_cvtps_pd(_mm256_castps256_ps128(values));
    const __m256d second = _mm256_cvtps_pd(_mm256_extractf128_ps(values, 1));
    low = _mm256_fmadd_pd(first, first, low);
    high = _mm256_fmadd_pd(second, second, high);
    const __m256i magnitude = _mm256_set1_epi32(0x7fffffff);
    largest = _mm256_max_epi32(
        largest, _mm256_and_si256(_mm256_castps_si256(values), magnitude));
  }
};

struct Loop {
  template <typename Op>
  static void run(std::size_t n, Op op) {
    std::size_t i = 0;
    for (; i + 8 <= n; i += 8) op(Eight{i});
    for (; i < n; ++i) op(One{i});
  }

  static ChunkSummary summarise(const float* x, std::size_t n) noexcept {
    Sums first;
    Sums second;
    std::size_t i = 0;
    for (; i + 16 <= n; i += 16) {
      first.add(Eight{i}.load(x));
      second.add(Eight{i + 8}.load(x));
    }
    double lanes[16];
    _mm256_storeu_pd(lanes, first.low);
    _mm256_storeu_pd(lanes + 4, first.high);
    _mm256_storeu_pd(lanes + 8, second.low);
    _mm256_storeu_pd(lanes + 12, second.high);
    std::uint32_t bits[8];
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(bits),
                        _mm256_max_epi32(first.largest, second.largest));
    for (std::size_t k = 1; k < 8; ++k) {
      bits[0] = bits[k] > bits[0] ? bits[k] : bits[0];
    }
    return finish(x, i, n, lanes, bits[0]);
  }
};

}  // namespace

constinit const ElementwiseTable kAvx2Elementwise = table_of<Loop>();

}  // namespace muonlab::kernels
