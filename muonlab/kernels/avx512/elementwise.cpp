// 16 values at a time, the last ones under a mask.
#include <immintrin.h>

#include "muonlab/kernels/elementwise_body_internal.h"

namespace muonlab::kernels {

namespace {

struct Arithmetic {
  static __m512 set(float x) { return _mm512_set1_ps(x); }
  static __m512 root(__m512 x) { return _mm512_sqrt_ps(x); }
  static __m512 sign(__m512 x) {
    const __m512 zero = _mm512_setzero_ps();
    const __m512 one = _mm512_set1_ps(1);
    const __mmask16 above = _mm512_cmp_ps_mask(x, zero, _CMP_GT_OQ);
    const __mmask16 below = _mm512_cmp_ps_mask(x, zero, _CMP_LT_OQ);
    return _mm512_maskz_mov_ps(above, one) - _mm512_maskz_mov_ps(below, one);
  }
  static __m512 if_not_negative(__m512 x, __m512 yes, __m512 no) {
    const __m512 zero = _mm512_setzero_ps();
    const __mmask16 mask = _mm512_cmp_ps_mask(x, zero, _CMP_GE_OQ);
    return _mm512_mask_blend_ps(mask, no, yes);
  }
};

struct Sixteen : Arithmetic {
  explicit Sixteen(std::size_t at) : i(at) {}

  __m512 load(const float* p) const { return _mm512_loadu_ps(p + i); }
  void store(float* p, __m512 x) const { _mm512_storeu_ps(p + i, x); }

  std::size_t i;
};

struct Last : Arithmetic {
  Last(std::size_t at, std::size_t count)
      : i(at), mask(static_cast<__mmask16>((1U << count) - 1)) {}

  __m512 load(const float* p) const {
    return _mm512_maskz_loadu_ps(mask, p + i);
  }
  void store(float* p, __m512 x) const {
    _mm512_mask_storeu_ps(p + i, mask, x);
  }

  std::size_t i;
  __mmask16 mask;
};

struct Sums {
  __m512d low = _mm512_setzero_pd();
  __m512d high = _mm512_setzero_pd();
  __m512i largest = _mm512_setzero_si512();

  void add(__m512 values) {
    const __m512d first = _mm512_cvtps_pd(_mm512_castps512_ps256(values));
    const __m512d second = _mm512_cvtps_pd(_mm512_extractf32x8_ps(values, 1));
    low = _mm512_fmadd_pd(first, first, low);
    high = _mm512_fmadd_pd(second, second, high);
    const __m512i magnitude = _mm512_set1_epi32(0x7fffffff);
    largest = _mm512_max_epi32(
        largest, _mm512_and_si512(_mm512_castps_si512(values), magnitude));
  }
};

struct Loop {
  template <typename Op>
  static void run(std::size_t n, Op op) {
    std::size_t i = 0;
    for (; i + 16 <= n; i += 16) op(Sixteen(i));
    if (i < n) op(Last(i, n - i));
  }

  static ChunkSummary summarise(const float* x, std::size_t n) noexcept {
    Sums sums;
    std::size_t i = 0;
    for (; i + 16 <= n; i += 16) sums.add(Sixteen(i).load(x));
    if (i < n) sums.add(Last(i, n - i).load(x));
    double lanes[16];
    _mm512_storeu_pd(lanes, sums.low);
    _mm512_storeu_pd(lanes + 8, sums.high);
    const int largest = _mm512_reduce_max_epi32(sums.largest);
    return {fold(lanes), static_cast<std::uint32_t>(largest)};
  }
};

}  // namespace

constinit const ElementwiseTable kAvx512Elementwise = table_of<Loop>();

}  // namespace muonlab::kernels
